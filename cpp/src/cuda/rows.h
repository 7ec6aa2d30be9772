// Rows of a matrix, each taken by as many threads as its length pays for. Private to cpp/src/cuda.
#pragma once

#include <type_traits>

#include "cuda/launch.h"

namespace gradwell {
namespace cuda {

// The threads of one row: part of a warp, a warp, or a block. All threads of a block join at the same places.
template <int size>
struct RowThreads {
  static constexpr int count = size;
  static constexpr int block = size > 256 ? size : 256;  // threads of a block
  __device__ static int rank() { return static_cast<int>(threadIdx.x) % size; }
  // Rows that a block has under way, and which of them is this thread's.
  __device__ static Index rows_here() { return static_cast<Index>(blockDim.x) / size; }
  __device__ static Index row_here() { return static_cast<Index>(threadIdx.x) / size; }

  template <class V, class Join>
  __device__ static V join(V value, Join join, V nothing) {
    if constexpr (size <= 32) {
      for (int mask = size / 2; mask > 0; mask /= 2) value = join(value, __shfl_xor_sync(0xffffffffu, value, mask));
      return value;
    } else {
      __shared__ V scratch[32];
      return join_block(value, join, nothing, scratch);
    }
  }
};

// Calls body(RowThreads<n>{}) with an n that follows from the length of the rows alone.
template <class Body>
void with_row_threads(Index columns, Body&& body) {
  if (columns <= 32) return body(RowThreads<8>{});
  if (columns <= 1024) return body(RowThreads<32>{});
  if (columns <= 8192) return body(RowThreads<256>{});
  body(RowThreads<1024>{});
}

template <int size>
Grid grid_of_rows(Index rows, RowThreads<size>) {
  const Index blocks = ceiling(rows, RowThreads<size>::block / size);
  return {blocks < most_blocks ? blocks : most_blocks, RowThreads<size>::block};
}

// sums[row] = of(row, column) added up over the columns, in double. `of` is a struct with a __device__
// double operator()(Index row, Index column) const and a __device__ void done(Index row, double sum) const.
template <int size, class Of>
__global__ void sum_rows(Index rows, Index columns, Of of) {
  using Threads = RowThreads<size>;
  for (Index first = static_cast<Index>(blockIdx.x) * Threads::rows_here(); first < rows;
       first += static_cast<Index>(gridDim.x) * Threads::rows_here()) {
    const Index mine = first + Threads::row_here(), row = mine < rows ? mine : rows - 1;
    double sum = 0;
    GRADWELL_UNROLL_BY(4)
    for (Index j = Threads::rank(); j < columns; j += size) sum += of(row, j);
    sum = Threads::join(sum, Plus{}, 0.0);
    if (Threads::rank() == 0 && mine < rows) of.done(row, sum);
  }
}

template <class Of>
void sum_each_row(const char* name, Queue& queue, Index rows, Index columns, Of of) {
  with_row_threads(columns, [&](auto threads) {
    launch(name, queue, grid_of_rows(rows, threads), sum_rows<decltype(threads)::count, Of>, rows, columns, of);
  });
}

}  // namespace cuda
}  // namespace gradwell

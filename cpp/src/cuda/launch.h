// How kernels of this folder are launched, and how the threads of a block work together. Private to cpp/src/cuda.
//
// A kernel is a __global__ function of one-dimensional blocks; every thread of a block comes to every barrier. Nothing
// is added up by atomic operations on floating-point numbers: the order of every sum follows from shapes alone, so the
// same inputs give the same bits, run after run.
#pragma once

#include <limits>

#include "cuda/queue.h"

#if defined(__CUDACC__)
#define GRADWELL_PRAGMA(words) _Pragma(#words)
#define GRADWELL_UNROLL_BY(times) GRADWELL_PRAGMA(unroll times)
#else
#define GRADWELL_UNROLL_BY(times)
#endif

namespace gradwell {
namespace cuda {

struct Grid {
  Index blocks;
  int threads = 256;
  std::size_t shared_bytes = 0;
};

constexpr Index most_blocks = std::numeric_limits<std::int32_t>::max();

inline Index ceiling(Index a, Index b) {
  return (a + b - 1) / b;
}

template <class... P, class... A>
void launch(const char* name, Queue& queue, Grid grid, void (*kernel)(P...), A... arguments) {
  if (grid.blocks <= 0) return;
  if (grid.blocks > most_blocks) throw std::runtime_error(std::string("[cuda] ") + name + " needs too many blocks");
  if (grid.shared_bytes > 48 * 1024) allow_shared(reinterpret_cast<const void*>(kernel), grid.shared_bytes, name);
  cudaLaunchConfig_t config = {};
  config.gridDim = dim3(static_cast<unsigned>(grid.blocks));
  config.blockDim = dim3(static_cast<unsigned>(grid.threads));
  config.dynamicSmemBytes = grid.shared_bytes;
  config.stream = queue.stream();
  check_cuda(cudaLaunchKernelEx(&config, kernel, static_cast<P>(arguments)...), name);
}

// The memory that a block was launched with.
template <class T>
__device__ T* shared_memory() {
#if defined(GRADWELL_EMULATED)
  return static_cast<T*>(gradwell_emulator::shared_memory());
#else
  extern __shared__ __align__(16) unsigned char gradwell_shared_memory[];
  return reinterpret_cast<T*>(gradwell_shared_memory);
#endif
}

struct Plus {
  template <class V>
  __device__ V operator()(V a, V b) const {
    return a + b;
  }
};
struct Lesser {
  template <class V>
  __device__ V operator()(V a, V b) const {
    return b < a ? b : a;
  }
};
struct Greater {
  template <class V>
  __device__ V operator()(V a, V b) const {
    return b > a ? b : a;
  }
};

// value of all 32 lanes joined, in all of them, always by the same tree.
template <class V, class Join>
__device__ V join_warp(V value, Join join) {
  for (int mask = 16; mask > 0; mask /= 2) value = join(value, __shfl_xor_sync(0xffffffffu, value, mask));
  return value;
}

// The same of all threads of a block, a multiple of 32; `scratch` has room for 32 and is free again afterwards.
template <class V, class Join>
__device__ V join_block(V value, Join join, V nothing, V* scratch) {
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  const int warps = static_cast<int>(blockDim.x) / 32;
  value = join_warp(value, join);
  if (lane == 0) scratch[warp] = value;
  __syncthreads();
  value = join_warp(lane < warps ? scratch[lane] : nothing, join);
  __syncthreads();
  return value;
}

// Calls body(row, column) for every element of a matrix, each by one thread.
struct Tiling {
  Index rows, columns;
  int tile_rows, tile_columns;
  Index across;  // tiles side by side
};

constexpr int tile_elements = 1024;

inline Tiling tiling_of(Index rows, Index columns) {
  const int wide = static_cast<int>(columns < tile_elements ? columns : tile_elements);
  const int high = wide > 0 ? tile_elements / wide : 1;
  return {rows, columns, high, wide, wide > 0 ? ceiling(columns, wide) : 0};
}

template <class Body>
__global__ void visit_elements(Tiling tiling, Index tiles, Body body) {
  for (Index tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
    const Index first_row = tile / tiling.across * tiling.tile_rows;
    const Index first_column = tile % tiling.across * tiling.tile_columns;
    const int count = tiling.tile_rows * tiling.tile_columns;
    for (int k = static_cast<int>(threadIdx.x); k < count; k += static_cast<int>(blockDim.x)) {
      const Index row = first_row + k / tiling.tile_columns, column = first_column + k % tiling.tile_columns;
      if (row < tiling.rows && column < tiling.columns) body(row, column);
    }
  }
}

// `body` is a struct with a __device__ operator()(Index row, Index column) const.
template <class Body>
void for_each_element(const char* name, Queue& queue, Index rows, Index columns, Body body) {
  if (rows <= 0 || columns <= 0) return;
  const Tiling tiling = tiling_of(rows, columns);
  const Index tiles = ceiling(rows, tiling.tile_rows) * tiling.across;
  launch(name, queue, {tiles < most_blocks ? tiles : most_blocks}, visit_elements<Body>, tiling, tiles, body);
}

template <class T>
__host__ __device__ inline bool without_gaps(Matrix<T> m) {
  return m.rows <= 1 || m.stride == m.columns;
}

}  // namespace cuda
}  // namespace gradwell

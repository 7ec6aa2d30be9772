// Products of a few rows by a matrix that a block keeps for as long as it runs: what of it the registers do not hold is
// in shared memory. Private to cpp/src/cuda.
//
// The matrix is (depth, vectors * hidden). Thread s * hidden + j sums slice s of the depth for column j of each vector;
// the slices' sums are added in order by whoever needs them. The order of a sum follows from hidden alone.
#pragma once

#include "cuda/launch.h"
#include "elementwise/lanes.h"

namespace gradwell {
namespace cuda {

constexpr int run_threads = 256;  // of a block, at most

struct Slices {
  int count, each;  // `each` of the depth, a multiple of 4
  __host__ __device__ int depth() const { return count * each; }
};
inline Slices slices_of(int depth, int hidden) {
  const auto in_fours = [](int n) { return (n + 3) / 4 * 4; };
  const int room = run_threads / hidden, most = in_fours(depth) / 4;
  const int wanted = room < 1 ? 1 : (room < most ? room : most);
  const int each = in_fours((depth + wanted - 1) / wanted);
  return {(depth + each - 1) / each, each};
}

// Numbers of a matrix that a thread holds in registers: 64 registers of its 255 are for them.
template <class T>
constexpr int held_numbers = 256 / static_cast<int>(sizeof(T));

template <class T>
struct alignas(16) Four {
  T number[4];
};

// The slice of one thread. Held is a multiple of 4; all that is indexed with it comes to lie in registers.
template <class T, int Vectors, int Held>
struct WeightSlice {
  T held[Held][Vectors];
  const T* rest;  // element (i, v) of it is rest[(i * Vectors + v) * hidden]
  Slices slices;
  int hidden, s;
  bool works;

  // Numbers of shared memory that all slices take.
  static int shared_numbers(Slices slices, int hidden) {
    return slices.each > Held ? slices.count * (slices.each - Held) * Vectors * hidden : 0;
  }

  // Nothing but its own slice is ever read by a thread.
  __device__ void load(Slices all, int depth, int hidden_units, const T* matrix, int stride, T* memory) {
    slices = all;
    hidden = hidden_units;
    s = static_cast<int>(threadIdx.x) / hidden;
    const int j = static_cast<int>(threadIdx.x) % hidden;
    works = s < slices.count;
    const int left = works ? depth - s * slices.each : 0;
    const T* const from = matrix + static_cast<Index>(s * slices.each) * stride + j;
    const auto number = [&](int i, int v) {
      return i < left && i < slices.each ? from[static_cast<Index>(i) * stride + v * hidden] : T(0);
    };
    GRADWELL_UNROLL
    for (int i = 0; i < Held; ++i) {
      GRADWELL_UNROLL
      for (int v = 0; v < Vectors; ++v) held[i][v] = number(i, v);
    }
    if (!works) return;
    T* to = memory + (slices.each > Held ? s * (slices.each - Held) * Vectors * hidden + j : 0);
    rest = to;
    for (int i = Held; i < slices.each; ++i)
      for (int v = 0; v < Vectors; ++v, to += hidden) *to = number(i, v);
  }

  // sums += its slice of rows that lie `slices.depth()` apart in shared memory.
  template <int Rows>
  __device__ void add(const T* rows, T (&sums)[Rows][Vectors]) const {
    const int apart = slices.depth();
    const T* const own = rows + s * slices.each;
    GRADWELL_UNROLL
    for (int i = 0; i < Held; i += 4) {
      if (i >= slices.each) break;
      Four<T> x[Rows];
      fetch(own + i, apart, x);
      GRADWELL_UNROLL
      for (int k = 0; k < 4; ++k) multiply(x, k, held[i + k], sums);
    }
    const T* weight = rest;
    for (int i = Held; i < slices.each; i += 4) {
      Four<T> x[Rows];
      fetch(own + i, apart, x);
      GRADWELL_UNROLL
      for (int k = 0; k < 4; ++k) {
        T w[Vectors];
        GRADWELL_UNROLL
        for (int v = 0; v < Vectors; ++v, weight += hidden) w[v] = *weight;
        multiply(x, k, w, sums);
      }
    }
  }

 private:
  template <int Rows>
  __device__ static void fetch(const T* from, int apart, Four<T> (&x)[Rows]) {
    GRADWELL_UNROLL
    for (int r = 0; r < Rows; ++r) x[r] = *reinterpret_cast<const Four<T>*>(from + r * apart);
  }
  template <int Rows>
  __device__ static void multiply(const Four<T> (&x)[Rows], int k, const T (&w)[Vectors], T (&sums)[Rows][Vectors]) {
    GRADWELL_UNROLL
    for (int r = 0; r < Rows; ++r) {
      GRADWELL_UNROLL
      for (int v = 0; v < Vectors; ++v) sums[r][v] = fma(x[r].number[k], w[v], sums[r][v]);
    }
  }
};

// Sums of slices in shared memory: of slice s, row r, vector v.
template <class T, int Rows, int Vectors>
struct SliceSums {
  T* data;
  int hidden;
  __device__ T& at(int s, int r, int v, int j) const { return data[((s * Rows + r) * Vectors + v) * hidden + j]; }
  __device__ void put(int s, int j, const T (&sums)[Rows][Vectors]) const {
    GRADWELL_UNROLL
    for (int r = 0; r < Rows; ++r) {
      GRADWELL_UNROLL
      for (int v = 0; v < Vectors; ++v) at(s, r, v, j) = sums[r][v];
    }
  }
  __device__ T whole(int slices, int r, int v, int j) const {
    T sum = at(0, r, v, j);
    for (int s = 1; s < slices; ++s) sum += at(s, r, v, j);
    return sum;
  }
};

// Shared memory is handed out in pieces that begin at 16 bytes.
struct SharedPlan {
  int numbers = 0;
  int take(int count) {
    const int at = numbers;
    numbers += (count + 3) / 4 * 4;
    return at;
  }
};

// Sequences of a block: one while there are no more than processors, then two, then four. Where the memory of a block
// is too small for that it takes fewer, unless blocks would come in more than four turns: then 0, and single steps are
// faster. Sums do not depend on it.
template <class Fits>
int rows_of_block(Index batch, int processors, Fits fits) {
  const int wanted = batch <= processors ? 1 : (batch <= 2 * static_cast<Index>(processors) ? 2 : 4);
  for (int rows = wanted; rows > 0; rows /= 2)
    if (fits(rows)) return rows == wanted || batch <= 4 * static_cast<Index>(rows) * processors ? rows : 0;
  return 0;
}

}  // namespace cuda
}  // namespace gradwell

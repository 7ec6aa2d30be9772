// Element by element, four numbers a thread: what lies side by side is read and written by 16 bytes at once. Private to
// cpp/src/cuda.
#pragma once

#include "cuda/launch.h"

namespace gradwell {
namespace cuda {

template <class T, int count>
struct alignas(count == 4 ? 16 : alignof(T)) Values {
  T value[count];
};
template <class T>
using Four = Values<T, 4>;

template <class T>
Matrix<const T> as_read(Matrix<T> m) {
  return {m.data, m.rows, m.columns, m.stride};
}

template <class T>
bool at_sixteen(const T* p) {
  return reinterpret_cast<std::uintptr_t>(p) % 16 == 0;
}

// Rows of which each starts at 16 bytes and ends with a whole four. What is not there passes.
template <class T>
bool rows_in_fours(Matrix<T> m) {
  return !m.data || (at_sixteen(m.data) && m.columns % 4 == 0 && (m.rows <= 1 || m.stride % 4 == 0));
}

// Columns column ... column + 3 of a row, beyond its end zeros.
template <class T>
__device__ Four<T> load_four(const T* row, Index column, Index columns, bool in_fours) {
  if (in_fours) return *reinterpret_cast<const Four<T>*>(row + column);
  Four<T> four;
  for (int k = 0; k < 4; ++k) four.value[k] = column + k < columns ? row[column + k] : T(0);
  return four;
}
template <class T>
__device__ void store_four(T* row, Index column, Index columns, bool in_fours, const Four<T>& four) {
  if (in_fours) {
    *reinterpret_cast<Four<T>*>(row + column) = four;
    return;
  }
  for (int k = 0; k < 4; ++k)
    if (column + k < columns) row[column + k] = four.value[k];
}

// Where a body of for_each_four is: at elements that lie one behind another in matrices without gaps, or at one
// element.
template <int number>
struct Along {
  static constexpr int count = number;
  Index first;
  template <class T>
  __device__ Values<T, number> load(Matrix<const T> m) const {
    return *reinterpret_cast<const Values<T, number>*>(m.data + first);
  }
  template <class T>
  __device__ void store(Matrix<T> m, const Values<T, number>& values) const {
    *reinterpret_cast<Values<T, number>*>(m.data + first) = values;
  }
};
struct OneElement {
  static constexpr int count = 1;
  Index row, column;
  template <class T>
  __device__ Values<T, 1> load(Matrix<const T> m) const {
    return {{m.data[row * m.stride + column]}};
  }
  template <class T>
  __device__ void store(Matrix<T> m, const Values<T, 1>& values) const {
    m.data[row * m.stride + column] = values.value[0];
  }
};

template <class Body>
__global__ void visit_fours(Index count, Body body) {
  const Index thread = static_cast<Index>(blockIdx.x) * blockDim.x + threadIdx.x;
  const Index step = static_cast<Index>(gridDim.x) * blockDim.x, fours = count / 4;
  for (Index k = thread; k < fours; k += step) body(Along<4>{4 * k});
  if (4 * fours + thread < count) body(Along<1>{4 * fours + thread});
}

template <class Body>
struct AtElements {
  Body body;
  __device__ void operator()(Index row, Index column) const { body(OneElement{row, column}); }
};

// Calls body(at) for all elements of matrices of one shape; `at` loads and stores at::count of each. `body` is a struct
// with a template <class At> __device__ void operator()(At) const, and `matrices` are all that it touches.
template <class Body, class... M>
void for_each_four(const char* name, Queue& queue, Index rows, Index columns, Body body, M... matrices) {
  if (rows <= 0 || columns <= 0) return;
  if (((!matrices.data || (without_gaps(matrices) && at_sixteen(matrices.data))) && ...)) {
    const Index count = rows * columns, blocks = ceiling(count, 4 * 256);
    launch(name, queue, {blocks < most_blocks ? blocks : most_blocks}, visit_fours<Body>, count, body);
  } else {
    for_each_element(name, queue, rows, columns, AtElements<Body>{body});
  }
}

}  // namespace cuda
}  // namespace gradwell

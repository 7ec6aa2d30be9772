// Sums down the columns of a matrix, a strip of columns at a time. Private to cpp/src/cpu.
#pragma once

#include "cpu/simd.h"

namespace gradwell {
namespace GRADWELL_LEVEL {

constexpr int strip_vectors = 4;
template <class T>
constexpr int strip_columns = strip_vectors * lanes<T>;

// Adds a vector of T to as many sums in double.
template <class T>
GRADWELL_INLINE void add_wide(double* sums, Pack<T> x) {
  alignas(64) T lane[lanes<T>];
  store(lane, x);
#pragma GCC unroll 2
  for (int part = 0; part < wide_parts<T>; ++part) {
    double* const to = sums + part * lanes<double>;
    store(to, load(to) + load_wide(lane, part));
  }
}

// So many rows are summed in T, and from there in double.
constexpr Index sum_rows = 8;

// sums[v * lanes + j] = sum over rows of term(row, v)[j].
template <class T, int Vectors, class Term>
GRADWELL_INLINE void column_sums(Index rows, double* sums, Term&& term) {
  for (int k = 0; k < Vectors * lanes<T>; ++k) sums[k] = 0;
  for (Index first = 0; first < rows; first += sum_rows) {
    const Index last = first + sum_rows < rows ? first + sum_rows : rows;
    Pack<T> part[Vectors] = {};
    for (Index row = first; row < last; ++row)
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; ++v) part[v] += term(row, v);
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) add_wide<T>(sums + v * lanes<T>, part[v]);
  }
}

// Calls body(first column, vectors as a constant, numbers in the last vector) for whole strips, then vector by vector.
template <int Vectors>
struct VectorCount {
  static constexpr int value = Vectors;
};

template <class T, class Body>
GRADWELL_INLINE void for_each_strip(Index first, Index last, Body&& body) {
  Index j = first;
  for (; j + strip_columns<T> <= last; j += strip_columns<T>) body(j, VectorCount<strip_vectors>{}, lanes<T>);
  for (; j < last; j += lanes<T>)
    body(j, VectorCount<1>{}, last - j < lanes<T> ? static_cast<int>(last - j) : lanes<T>);
}

}  // namespace GRADWELL_LEVEL
}  // namespace gradwell

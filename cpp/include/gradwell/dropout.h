// Inverted dropout (Srivastava et al. 2014): y = x m, m = 1 / (1 - rate) with probability 1 - rate, else 0.
//
// Whether element (row, column) is kept depends on (seed, step, layer, row, column) alone, by the counter-based
// generator Philox 4x32-10 (Salmon, Moraes, Dror, Shaw 2011): the same on any thread, and after a resume.
#pragma once

#include "gradwell/types.h"

namespace gradwell {

struct DropoutKey {
  std::uint64_t seed;
  std::uint64_t step;
  std::uint32_t layer;
};

template <class T>
struct DropoutKernels {
  // Writes m too; the first row is number `first_row` of the batch. y may be x.
  void (*forward)(Context, Matrix<const T> x, double rate, DropoutKey, Index first_row, Matrix<T> mask, Matrix<T> y);
  // y = a b, element by element; y may be a.
  void (*multiply)(Context, Matrix<const T> a, Matrix<const T> b, Matrix<T> y);
};

}  // namespace gradwell

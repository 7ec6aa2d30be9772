// Sums of squares in double. Private to cpp/src/cpu.
#pragma once

#include "cpu/simd.h"

namespace gradwell {
namespace GRADWELL_LEVEL {

GRADWELL_INLINE Pack<double> widened(Pack<double> x) {
  return x;
}
GRADWELL_INLINE Pack<double> widened(Pack<float> x) {
  float lane[lanes<float>];
  store(lane, x);
  return load_wide(lane, 0) + load_wide(lane, 1);
}

// Four vectors at a time in T and on from there in double; all in double where squares in T come near the ends of
// its range.
template <class T>
static double sum_of_squares(const T* x, Index count) {
  constexpr Index group = 4 * lanes<T>;
  Pack<double> sums = {};
  Index i = 0;
  for (; i + group <= count; i += group) {
    Pack<T> squares = load(x + i) * load(x + i);
#pragma GCC unroll 3
    for (int v = 1; v < 4; ++v) squares = fma(load(x + i + v * lanes<T>), load(x + i + v * lanes<T>), squares);
    sums += widened(squares);
  }
  double sum = 0;
  for (int k = 0; k < lanes<double>; ++k) sum += sums[k];
  const bool close = sizeof(T) == 4 && i > 0 && !(sum > 1e-26 && sum < 1e37);
  if (close) sum = 0;
  for (Index k = close ? 0 : i; k < count; ++k) sum += static_cast<double>(x[k]) * static_cast<double>(x[k]);
  return sum;
}

}  // namespace GRADWELL_LEVEL
}  // namespace gradwell

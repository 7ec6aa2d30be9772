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

// Pairs of lanes, then pairs of pairs.
GRADWELL_INLINE double sum_of(Pack<double> x) {
  double part[lanes<double>];
  store(part, x);
#pragma GCC unroll 4
  for (int half = lanes<double> / 2; half > 0; half /= 2)
    for (int k = 0; k < half; ++k) part[k] += part[k + half];
  return part[0];
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
  double sum = sum_of(sums);
  const bool close = sizeof(T) == 4 && i > 0 && !(sum > 1e-26 && sum < 1e37);
  if (close) sum = 0;
  for (Index k = close ? 0 : i; k < count; ++k) sum += static_cast<double>(x[k]) * static_cast<double>(x[k]);
  return sum;
}

// Euclidean norm, to all digits where squares would leave the range of double.
template <class T>
static double norm_of(const T* x, Index count) {
  const double sum = sum_of_squares(x, count);
  if (sizeof(T) == 4 || (sum > 1e-250 && sum < 1e300) || sum != sum) return __builtin_sqrt(sum);
  double most = 0;
  for (Index k = 0; k < count; ++k) most = __builtin_fmax(most, __builtin_fabs(static_cast<double>(x[k])));
  if (most == 0 || most > 1e308) return most;
  double scaled = 0;
  for (Index k = 0; k < count; ++k) {
    const double part = static_cast<double>(x[k]) / most;
    scaled += part * part;
  }
  return most * __builtin_sqrt(scaled);
}

}  // namespace GRADWELL_LEVEL
}  // namespace gradwell

// Sums of squares in double, for the time record: of float64 three of them, so that some do not leave its range.
// Private to cpp/src/cpu.
#pragma once

#include "cpu/squares.h"

namespace gradwell {
namespace GRADWELL_LEVEL {

template <class T>
constexpr int square_parts = sizeof(T) == 4 ? 1 : 3;
constexpr double small_scale = 0x1p500, large_scale = 0x1p-500;

GRADWELL_INLINE void add_square(Pack<double> (&sums)[1], Pack<float> x) {
  alignas(64) float lane[lanes<float>];
  store(lane, x);
#pragma GCC unroll 2
  for (int part = 0; part < wide_parts<float>; ++part) {
    const Pack<double> wide = load_wide(lane, part);
    sums[0] = fma(wide, wide, sums[0]);
  }
}
GRADWELL_INLINE void add_square(Pack<double> (&sums)[3], Pack<double> x) {
  const Pack<double> up = x * small_scale, down = x * large_scale;
  sums[0] = fma(x, x, sums[0]);
  sums[1] = fma(up, up, sums[1]);
  sums[2] = fma(down, down, sums[2]);
}
GRADWELL_INLINE double norm_of_squares(const Pack<double> (&sums)[1]) {
  return __builtin_sqrt(sum_of(sums[0]));
}
GRADWELL_INLINE double norm_of_squares(const Pack<double> (&sums)[3]) {
  const double sum = sum_of(sums[0]);
  if (sum > 1e-250 && sum < 1e300) return __builtin_sqrt(sum);
  return sum < 1 ? __builtin_sqrt(sum_of(sums[1])) / small_scale : __builtin_sqrt(sum_of(sums[2])) / large_scale;
}

}  // namespace GRADWELL_LEVEL
}  // namespace gradwell

// Sums of squares in double, for the time record: of float64 three of them, so that some do not leave its range.
// Private to cpp/src/cpu.
#pragma once

#include "cpu/squares.h"
#include "elementwise/square_parts.h"

namespace gradwell {
namespace GRADWELL_LEVEL {

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
  return norm_of_parts(sum_of(sums[0]), sum_of(sums[1]), sum_of(sums[2]));
}

}  // namespace GRADWELL_LEVEL
}  // namespace gradwell

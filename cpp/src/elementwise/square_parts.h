// Norms of what may be anywhere in float64: beside the squares themselves, those of the numbers made larger and smaller
// are summed, and the sum that has not left the range of double tells. Squares of float32 do not leave it. Shared by
// the levels of cpp/src/cpu and by cpp/src/cuda.
#pragma once

#include "elementwise/lanes.h"

namespace gradwell {
namespace GRADWELL_LEVEL {

template <class T>
constexpr int square_parts = sizeof(T) == 4 ? 1 : 3;
constexpr double small_scale = 0x1p500, large_scale = 0x1p-500;

GRADWELL_INLINE double norm_of_parts(double sum, double of_larger, double of_smaller) {
  if (sum > 1e-250 && sum < 1e300) return __builtin_sqrt(sum);
  return sum < 1 ? __builtin_sqrt(of_larger) / small_scale : __builtin_sqrt(of_smaller) / large_scale;
}

}  // namespace GRADWELL_LEVEL
}  // namespace gradwell

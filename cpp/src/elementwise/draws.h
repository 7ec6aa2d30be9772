// Uniform and normal random numbers from the words of philox.h. Shared by the levels of cpp/src/cpu and by
// cpp/src/cuda.
#pragma once

#include "elementwise/math.h"
#include "elementwise/philox.h"

namespace gradwell {
namespace GRADWELL_LEVEL {

// u in [0, 1): 24 bits of a word in float32, all 32 in float64.
template <class T>
GRADWELL_INLINE T uniform_of(std::uint32_t word) {
  if constexpr (sizeof(T) == 4)
    return static_cast<T>(static_cast<std::int32_t>(word >> 8)) * T(5.9604644775390625e-8);
  else
    return static_cast<T>(word) * T(2.3283064365386963e-10);
}

// sin and cos of a quarter turn times x, |x| <= 1/2, by their series to float64's precision.
template <class T>
struct Turn {
  Pack<T> sine, cosine;
};
template <class T>
GRADWELL_INLINE Turn<T> quarter_turn(Pack<T> x) {
  const Pack<T> angle = x * T(1.5707963267948966), square = angle * angle;
  constexpr double sine[] = {1.0, -1.0 / 6, 1.0 / 120, -1.0 / 5040, 1.0 / 362880, -1.0 / 39916800, 1.0 / 6227020800.0};
  constexpr double cosine[] = {1.0,           -0.5,           1.0 / 24,          -1.0 / 720,
                               1.0 / 40320.0, -1.0 / 3628800, 1.0 / 479001600.0, -1.0 / 87178291200.0};
  Pack<T> s = broadcast(static_cast<T>(sine[6])), c = broadcast(static_cast<T>(cosine[7]));
  GRADWELL_UNROLL
  for (int k = 5; k >= 0; --k) s = fma(s, square, broadcast(static_cast<T>(sine[k])));
  GRADWELL_UNROLL
  for (int k = 6; k >= 0; --k) c = fma(c, square, broadcast(static_cast<T>(cosine[k])));
  return {s * angle, c};
}

// Two normal numbers from two uniform ones, Box and Muller (1958): the radius from the first, the angle from the
// second.
template <class T>
struct NormalPair {
  Pack<T> cosine, sine;
};
template <class T>
GRADWELL_INLINE NormalPair<T> box_muller(Pack<T> first, Pack<T> second) {
  const Pack<T> radius = root(T(-2) * log<T>(T(1) - first));  // 1 - u is above 0
  const Pack<T> turns = second * T(4);
  const Pack<T> shift = broadcast(Constants<T>::round_shift);
  const Pack<T> quarter = (turns + shift) - shift;
  const Turn<T> turn = quarter_turn<T>(turns - quarter);
  const auto odd = (quarter == T(1)) | (quarter == T(3));
  const auto down = (quarter == T(1)) | (quarter == T(2));
  const auto low = (quarter == T(2)) | (quarter == T(3));
  const Pack<T> cosine = odd ? turn.sine : turn.cosine, sine = odd ? turn.cosine : turn.sine;
  return {radius * (down ? -cosine : cosine), radius * (low ? -sine : sine)};
}

}  // namespace GRADWELL_LEVEL
}  // namespace gradwell

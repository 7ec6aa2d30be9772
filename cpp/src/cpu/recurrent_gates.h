// Gates of a few vectors at a time. Private to cpp/src/cpu.
//
// sigmoid and tanh are both a numerator over 1 + e^-|x| or 2 + (e^-2|x| - 1), which lie between 1 and 2: one division
// serves several of them, 1/a = b / (a b). Within 3 units in the last place.
#pragma once

#include "cpu/math.h"
#include "cpu/squares.h"

namespace gradwell {
namespace GRADWELL_LEVEL {

template <class T>
struct Fraction {
  Pack<T> over, under;
};

template <class T>
GRADWELL_INLINE Fraction<T> sigmoid_fraction(Pack<T> x) {
  const auto reduced = reduce_exponential<T>(at_least<T>(-magnitude<T>(x), Constants<T>::exp_lowest));
  const Pack<T> e = times_power_of_two<T>(reduced.minus_one + T(1), reduced.n);
  return {x < T(0) ? e : broadcast(T(1)), e + T(1)};
}
template <class T>
GRADWELL_INLINE Fraction<T> tanh_fraction(Pack<T> x) {
  const Pack<T> size = magnitude<T>(x);
  const Pack<T> m = expm1_negative<T>(-(size + size));
  return {with_sign<T>(-m, x), m + T(2)};
}

template <class T>
GRADWELL_INLINE Pack<T> divided(Fraction<T> a) {
  return a.over / a.under;
}
template <class T>
GRADWELL_INLINE void divided(Fraction<T> a, Fraction<T> b, Pack<T>& first, Pack<T>& second) {
  const Pack<T> inverse = T(1) / (a.under * b.under);
  first = a.over * (inverse * b.under);
  second = b.over * (inverse * a.under);
}
template <class T>
GRADWELL_INLINE void divided(const Fraction<T> (&a)[4], Pack<T> (&to)[4]) {
  const Pack<T> left = a[0].under * a[1].under, right = a[2].under * a[3].under;
  const Pack<T> inverse = T(1) / (left * right);
  const Pack<T> of_left = inverse * right, of_right = inverse * left;
  to[0] = a[0].over * (of_left * a[1].under);
  to[1] = a[1].over * (of_left * a[0].under);
  to[2] = a[2].over * (of_right * a[3].under);
  to[3] = a[3].over * (of_right * a[2].under);
}

// Sums of squares in double, for the record: of float64 three of them, so that some do not leave its range.
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

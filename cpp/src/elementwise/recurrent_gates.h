// Gates of a few vectors at a time. Shared by the levels of cpp/src/cpu and by cpp/src/cuda.
//
// sigmoid and tanh are both a numerator over 1 + e^-|x| or 2 + (e^-2|x| - 1), which lie between 1 and 2: one division
// serves several of them, 1/a = b / (a b). Within 3 units in the last place.
#pragma once

#include "elementwise/math.h"

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

}  // namespace GRADWELL_LEVEL
}  // namespace gradwell

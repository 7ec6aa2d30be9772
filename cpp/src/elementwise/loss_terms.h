// What one output adds to the cost of its row, and its derivative (gradwell/loss.h). Shared by the levels of
// cpp/src/cpu and by cpp/src/cuda.
#pragma once

#include "elementwise/math.h"

namespace gradwell {
namespace GRADWELL_LEVEL {

// t (a - top). A target of 0 takes no part, even where the output is -infinity.
template <class T>
GRADWELL_INLINE Pack<T> softmax_inner(Pack<T> t, Pack<T> shifted) {
  return t == T(0) ? Pack<T>{} : t * shifted;
}

// softplus(a) - t a = max(a, 0) - t a + log(1 + e), the first two taken together; e = exp(-|a|).
template <class T>
GRADWELL_INLINE Pack<T> sigmoid_cost(Pack<T> a, Pack<T> t, Pack<T> e) {
  const Pack<T> linear = a > T(0) ? a * (T(1) - t) : -(a * t);
  return linear + log1p_unit<T>(e);
}

// sigmoid(a) - t. For t = 1 and a > 0 it is -e / (1 + e), without cancellation.
template <class T>
GRADWELL_INLINE Pack<T> sigmoid_slope(Pack<T> a, Pack<T> t, Pack<T> e) {
  const Pack<T> plain = (a < T(0) ? e : broadcast(T(1))) / (e + T(1)) - t;
  return ((a > T(0)) & (t == T(1))) ? -e / (e + T(1)) : plain;
}

}  // namespace GRADWELL_LEVEL
}  // namespace gradwell

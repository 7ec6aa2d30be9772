// What batch and layer normalisation compute on single elements. Formulas and sources: gradwell/batchnorm.h,
// gradwell/layernorm.h. Shared by the levels of cpp/src/cpu and by cpp/src/cuda.
#pragma once

#include "elementwise/lanes.h"

namespace gradwell {
namespace GRADWELL_LEVEL {

// A number in double as two in T: what rounding to T loses of a mean would show in every element.
template <class T>
struct Split {
  T high, low;
};
template <class T>
GRADWELL_INLINE Split<T> split(double x) {
  const T high = static_cast<T>(x);
  return {high, static_cast<T>(x - static_cast<double>(high))};
}

// x without its mean, which is high + low.
template <class V, class M>
GRADWELL_INLINE V centred(V x, M high, M low) {
  return x - high - low;
}

GRADWELL_INLINE double reciprocal_deviation(double variance, double epsilon) {
  return 1.0 / __builtin_sqrt(variance + epsilon);
}
// gamma / sqrt(variance + epsilon), rounded once.
template <class T>
GRADWELL_INLINE T normal_slope(double gamma, double variance, double epsilon) {
  return static_cast<T>(gamma / __builtin_sqrt(variance + epsilon));
}

// d: x without its mean. What is taken off are averages.
template <class V>
GRADWELL_INLINE V batchnorm_back(V delta, V d, V offset, V product, V slope) {
  return (delta - offset - d * product) * slope;
}

// g: gamma delta.
template <class V, class M>
GRADWELL_INLINE V layernorm_back(V g, V normal, M mean_g, M mean_product, M rstd) {
  return (g - mean_g - normal * mean_product) * rstd;
}

}  // namespace GRADWELL_LEVEL
}  // namespace gradwell

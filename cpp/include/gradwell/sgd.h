// Stochastic gradient descent (Robbins, Monro 1951), in place on a run of `count` parameters:
//
//   p <- (1 - learning_rate * weight_decay) p - learning_rate (g + l2 p)
//
// `weight_decay` is decoupled (Loshchilov, Hutter 2019), `l2` the gradient of l2/2 |p|^2.
#pragma once

#include "gradwell/types.h"

namespace gradwell {

// Sums of squares in double: of the step taken, and of the parameters before it.
struct StepNorms {
  double step;
  double parameter;
};

template <class T>
struct SgdKernels {
  void (*update)(Context, Sgd, T* parameter, const T* gradient, Index count);
  // The same update, bit for bit, and the two norms.
  StepNorms (*update_recorded)(Context, Sgd, T* parameter, const T* gradient, Index count);
};

}  // namespace gradwell

// The dense layer: z = x W + b, y = f(z), and its gradient.
//
//   dweight = x^T delta,  dbias = sum over the batch of delta,  dx = delta W^T,  with delta = dL/dz.
//
// x (batch, in), weight (in, out), bias (out), z and y and delta (batch, out). Every element is summed in one
// fixed order, so the result does not depend on the thread count. No output may overlap an input.
#pragma once

#include "gradwell/types.h"

namespace gradwell {

template <class T>
struct DenseKernels {
  // `bias` may be null. With z.data null only y is written; otherwise z keeps x W + b.
  void (*forward)(Context, Matrix<const T> x, Matrix<const T> weight, const T* bias, Activation, Matrix<T> z,
                  Matrix<T> y);
  // dx = (delta W^T) f', f the activation that made x; without f' where below.saved.data is null.
  void (*backward_input)(Context, Matrix<const T> delta, Matrix<const T> weight, Derivative<T> below, Matrix<T> dx);
  void (*backward_weight)(Context, Matrix<const T> x, Matrix<const T> delta, Matrix<T> dweight);
  // backward_weight and a step of the weight by it (optimizers.h) in one, bit for bit: the gradient is stored nowhere.
  void (*update_weight)(Context, Matrix<const T> x, Matrix<const T> delta, Sgd, Matrix<T> weight);
  void (*backward_bias)(Context, Matrix<const T> delta, T* dbias);
};

}  // namespace gradwell

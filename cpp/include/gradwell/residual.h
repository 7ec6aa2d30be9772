// The joints of a residual block: y = f(skip + scale * branch) (He, Zhang, Ren, Sun 2016; ReZero: Bachlechner et al.
// 2021, with a learned scale that starts at 0), and the sums of gradients where a value is used twice.
#pragma once

#include "gradwell/types.h"

namespace gradwell {

template <class T>
struct ResidualKernels {
  // z is kept where z.data is not null. y may be skip or branch.
  void (*forward)(Context, Matrix<const T> skip, Matrix<const T> branch, T scale, Activation, Matrix<T> z, Matrix<T> y);
  // y = scale x; y may be x.
  void (*scaled)(Context, Matrix<const T> x, T scale, Matrix<T> y);
  // y += x
  void (*add)(Context, Matrix<const T> x, Matrix<T> y);
  // The sum of x y over all elements, row by row in double: the gradient of a learned scale.
  double (*dot)(Context, Matrix<const T> x, Matrix<const T> y);
};

}  // namespace gradwell

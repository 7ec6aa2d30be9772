// Layer normalisation of the rows of x (batch, columns), with the activation that follows it:
//
//   x^ = (x - mean) / sqrt(variance + epsilon)      z = gamma x^ + beta      y = f(z)
//
// with mean and biased variance of each row. With delta = dC/dz, g = gamma delta and averages over the row,
//
//   dx = (g - mean(g) - x^ mean(g x^)) / sqrt(variance + epsilon)
//   dgamma = sum over the batch of delta x^      dbeta = sum over the batch of delta
//
// gamma null stands for ones, beta for zeros. J. Ba, J. Kiros, G. Hinton (2016). Sums are kept in double, in order.
// y may be x, z may be y; dx may be delta.
#pragma once

#include "gradwell/types.h"

namespace gradwell {

template <class T>
struct LayerNormKernels {
  // Writes mean and variance (batch). z is kept where z.data is not null.
  void (*forward)(Context, Matrix<const T> x, const T* gamma, const T* beta, double epsilon, Activation, Matrix<T> z,
                  Matrix<T> y, double* mean, double* variance);
  void (*backward_input)(Context, Matrix<const T> delta, Matrix<const T> x, const T* gamma, const double* mean,
                         const double* variance, double epsilon, Matrix<T> dx);
  // dgamma and dbeta are left alone where they are null.
  void (*backward_parameters)(Context, Matrix<const T> delta, Matrix<const T> x, const double* mean,
                              const double* variance, double epsilon, T* dgamma, T* dbeta);
};

}  // namespace gradwell

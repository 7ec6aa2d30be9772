// Batch normalisation of the columns of x (batch, columns), with the activation that follows it:
//
//   x^ = (x - mean) / sqrt(variance + epsilon)      z = gamma x^ + beta      y = f(z)
//
// In training mean and variance are those of the batch, the variance divided by the number of rows (biased); in
// inference they are given and constant. With delta = dC/dz and averages over the batch,
//
//   dgamma = sum delta x^      dbeta = sum delta
//   dx = gamma / sqrt(variance + epsilon) (delta - mean(delta) - x^ mean(delta x^))
//
// where the two averages are left out when the statistics are constants. gamma null stands for ones, beta for zeros.
// S. Ioffe, C. Szegedy (2015). Sums are kept in double and run down a column in order, whatever the threads.
// y may be x, z may be y; dx may be delta.
#pragma once

#include "gradwell/types.h"

namespace gradwell {

template <class T>
struct BatchNormKernels {
  // Writes mean and variance (columns). z is kept where z.data is not null.
  void (*forward)(Context, Matrix<const T> x, const T* gamma, const T* beta, double epsilon, Activation, Matrix<T> z,
                  Matrix<T> y, double* mean, double* variance);
  void (*inference)(Context, Matrix<const T> x, const T* gamma, const T* beta, const double* mean,
                    const double* variance, double epsilon, Activation, Matrix<T> z, Matrix<T> y);
  // dgamma, dbeta and dx are left alone where they are null. `constant`: mean and variance are.
  void (*backward)(Context, Matrix<const T> delta, Matrix<const T> x, const T* gamma, const double* mean,
                   const double* variance, double epsilon, bool constant, T* dgamma, T* dbeta, Matrix<T> dx);
};

}  // namespace gradwell

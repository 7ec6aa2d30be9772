// Layer normalisation on arrays of the device; contracts: gradwell/layernorm.h. Private to cpp/src/cuda.
#pragma once

#include "cuda/launch.h"
#include "gradwell/layernorm.h"

namespace gradwell {
namespace cuda {

template <class T>
void layernorm_forward(Queue&, Matrix<const T> x, const T* gamma, const T* beta, double epsilon, Activation,
                       Matrix<T> z, Matrix<T> y, double* mean, double* variance);
template <class T>
void layernorm_backward_input(Queue&, Matrix<const T> delta, Matrix<const T> x, const T* gamma, const double* mean,
                              const double* variance, double epsilon, Matrix<T> dx);
template <class T>
void layernorm_backward_parameters(Queue&, Matrix<const T> delta, Matrix<const T> x, const double* mean,
                                   const double* variance, double epsilon, T* dgamma, T* dbeta);

}  // namespace cuda
}  // namespace gradwell

// Batch normalisation on arrays of the device; contracts: gradwell/batchnorm.h. Private to cpp/src/cuda.
#pragma once

#include "cuda/launch.h"
#include "cuda/step.h"
#include "gradwell/batchnorm.h"

namespace gradwell {
namespace cuda {

template <class T>
void batchnorm_forward(Queue&, Matrix<const T> x, const T* gamma, const T* beta, double epsilon, Activation,
                       Matrix<T> z, Matrix<T> y, double* mean, double* variance);
template <class T>
void batchnorm_inference(Queue&, Matrix<const T> x, const T* gamma, const T* beta, const double* mean,
                         const double* variance, double epsilon, Activation, Matrix<T> z, Matrix<T> y);
template <class T>
void batchnorm_backward(Queue&, Matrix<const T> delta, Matrix<const T> x, const T* gamma, const double* mean,
                        const double* variance, double epsilon, bool constant, T* dgamma, T* dbeta, Matrix<T> dx);

// Where the step goes the running moments take over those of its batch of `rows`, the variance unbiased.
void batchnorm_commit(Queue&, const RunState* state, Index rows, double momentum, const double* mean,
                      const double* variance, double* running_mean, double* running_variance, Index columns);

}  // namespace cuda
}  // namespace gradwell

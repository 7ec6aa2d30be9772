// What each file of this folder gives to the table of kernels that work on arrays of the host. Private to cpp/src/cuda.
#pragma once

#include "cuda/staging.h"
#include "gradwell/kernels.h"

namespace gradwell {
namespace cuda {

template <class T>
ActivationKernels<T> activation_kernels();
template <class T>
BatchNormKernels<T> batchnorm_kernels();
template <class T>
BoltzmannKernels<T> boltzmann_kernels();
template <class T>
ClippingKernels<T> clipping_kernels();
template <class T>
DenseKernels<T> dense_kernels();
template <class T>
DropoutKernels<T> dropout_kernels();
template <class T>
ElementaryKernels<T> elementary_kernels();
template <class T>
LayerNormKernels<T> layernorm_kernels();
template <class T>
LossKernels<T> loss_kernels();
template <class T>
OptimizerKernels<T> optimizer_kernels();
template <class T>
ResidualKernels<T> residual_kernels();
template <class T>
StatisticsKernels<T> statistics_kernels();

// The families that single calls have; recurrent layers run in programs only.
template <class T>
void fill_table(Kernels<T>& table);

}  // namespace cuda
}  // namespace gradwell

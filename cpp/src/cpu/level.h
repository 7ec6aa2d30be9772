// What each file of this folder gives to the kernel table of its CPU level. Private to cpp/src/cpu.
#pragma once

#include "gradwell/kernels.h"

namespace gradwell {
namespace GRADWELL_LEVEL {

template <class T>
ActivationKernels<T> activation_kernels();
template <class T>
BatchNormKernels<T> batchnorm_kernels();
template <class T>
BoltzmannKernels<T> boltzmann_kernels();
template <class T>
ClippingKernels<T> clipping_kernels();
template <class T>
ConvolutionKernels<T> convolution_kernels();
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
RecurrentKernels<T> recurrent_kernels();
template <class T>
ResidualKernels<T> residual_kernels();
template <class T>
RooflineKernels<T> roofline_kernels();
template <class T>
StatisticsKernels<T> statistics_kernels();

// The whole table, by value: read by core/dispatch.cpp.
template <class T>
void fill_table(Kernels<T>& table);

}  // namespace GRADWELL_LEVEL
}  // namespace gradwell

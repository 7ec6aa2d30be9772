// The kernel table: everything above it reaches arithmetic only through these function pointers. One table
// is filled for each CPU level; the one this machine can run is chosen once, at import.
#pragma once

#include <string>
#include <vector>

#include "gradwell/activation.h"
#include "gradwell/batchnorm.h"
#include "gradwell/boltzmann.h"
#include "gradwell/clipping.h"
#include "gradwell/convolution.h"
#include "gradwell/dense.h"
#include "gradwell/dropout.h"
#include "gradwell/elementary.h"
#include "gradwell/layernorm.h"
#include "gradwell/loss.h"
#include "gradwell/optimizers.h"
#include "gradwell/recurrent.h"
#include "gradwell/residual.h"
#include "gradwell/roofline.h"
#include "gradwell/statistics.h"

namespace gradwell {

template <class T>
struct Kernels {
  ActivationKernels<T> activation;
  BatchNormKernels<T> batchnorm;
  BoltzmannKernels<T> boltzmann;
  ClippingKernels<T> clipping;
  ConvolutionKernels<T> convolution;
  DenseKernels<T> dense;
  DropoutKernels<T> dropout;
  ElementaryKernels<T> elementary;
  LayerNormKernels<T> layernorm;
  LossKernels<T> loss;
  OptimizerKernels<T> optimizers;
  RecurrentKernels<T> recurrent;
  ResidualKernels<T> residual;
  RooflineKernels<T> roofline;
  StatisticsKernels<T> statistics;
};

// The chosen table.
template <class T>
const Kernels<T>& kernels();

// Chooses the best level this CPU runs, or the one GRADWELL_CPU names. Throws std::runtime_error where there
// is none.
void choose_level();
std::string level_name();
std::vector<std::string> runnable_levels();

}  // namespace gradwell

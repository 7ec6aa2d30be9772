// The kernel table: everything above it reaches arithmetic only through these function pointers. One table
// is filled for each CPU level; the one this machine can run is chosen once, at import.
#pragma once

#include <string>
#include <vector>

#include "gradwell/activation.h"
#include "gradwell/dense.h"
#include "gradwell/elementary.h"
#include "gradwell/loss.h"
#include "gradwell/roofline.h"
#include "gradwell/sgd.h"
#include "gradwell/statistics.h"

namespace gradwell {

template <class T>
struct Kernels {
  ActivationKernels<T> activation;
  DenseKernels<T> dense;
  ElementaryKernels<T> elementary;
  LossKernels<T> loss;
  RooflineKernels<T> roofline;
  SgdKernels<T> sgd;
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

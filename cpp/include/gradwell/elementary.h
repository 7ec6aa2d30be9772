// The elementary functions the kernels are made of, on whole arrays: exp, log, tanh, sigmoid.
// Within 2 units in the last place in float32; docs/accuracy.md has the figures.
#pragma once

#include "gradwell/types.h"

namespace gradwell {

template <class T>
struct ElementaryKernels {
  void (*exp)(Context, const T* x, T* y, Index count);
  void (*log)(Context, const T* x, T* y, Index count);
  void (*tanh)(Context, const T* x, T* y, Index count);
  void (*sigmoid)(Context, const T* x, T* y, Index count);
};

}  // namespace gradwell

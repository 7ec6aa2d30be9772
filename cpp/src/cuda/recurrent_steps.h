// A recurrent layer's steps one by one: each is a product of the states by the recurrent weights, and a launch that
// makes the gates. Private to cpp/src/cuda.
#pragma once

#include "cuda/memory.h"
#include "gradwell/recurrent.h"

namespace gradwell {
namespace cuda {

// Of one step: products (batch, gates * hidden); what goes back through gru's recurrent product, as wide; dC/dh that
// goes straight to the step before, and dC/dc (batch, hidden); values for the record (batch, 4 * hidden).
template <class T>
struct StepScratch {
  DeviceBlock<T> sums, delta, dh, dc, record;
};

// recurrent (hidden, gates * hidden), without gaps. Gates hold x W + b, and the first states and cells are set.
template <class T>
void forward_by_steps(Queue&, const RecurrentRun<T>&, const T* recurrent, const StepScratch<T>&, Sequence<T> y);
template <class T>
void backward_by_steps(Queue&, const RecurrentRun<T>&, const T* recurrent, const StepScratch<T>&, Sequence<const T> dy,
                       Matrix<const T> dlast, double* norms);

}  // namespace cuda
}  // namespace gradwell

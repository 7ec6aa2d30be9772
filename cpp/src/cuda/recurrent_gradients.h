// Gradients of a recurrent layer's biases and peepholes: sums over all steps and sequences. Private to cpp/src/cuda.
#pragma once

#include "cuda/queue.h"
#include "gradwell/recurrent.h"

namespace gradwell {
namespace cuda {

// Numbers that `parts` has room for.
Index sum_parts(CellKind kind, Index hidden);

// From gates that hold gradients; any of the three may be null. Sums are kept in double, and their order follows from
// the shapes alone.
template <class T>
void sum_over_time(Queue& queue, const RecurrentRun<T>& run, T* dbias, T* drecurrent_bias, T* dpeephole, double* parts);

}  // namespace cuda
}  // namespace gradwell

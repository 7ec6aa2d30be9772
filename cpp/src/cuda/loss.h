// Losses on arrays of the device; contracts: gradwell/loss.h. Private to cpp/src/cuda.
#pragma once

#include "cuda/launch.h"
#include "cuda/step.h"
#include "gradwell/loss.h"

namespace gradwell {
namespace cuda {

// Every row's cost; their sum, added in an order that follows from the shape, is left in state->loss, and how many were
// right in state->correct. Gradients are divided by `whole`.
template <class T>
void loss_evaluate(Queue&, LossKind, Matrix<const T> outputs, Targets<T>, Index whole, Matrix<T> d, double* costs,
                   RunState* state);
// The same of sequences, a row for each of their `steps`. Where `lengths` is not null, rows from step lengths[sequence]
// on are not read: they cost 0 and their gradient is 0. Where `counted` is not null it takes the place of `whole`.
// Lengths and counted lie on the device.
template <class T>
void loss_evaluate(Queue&, LossKind, Matrix<const T> outputs, Targets<T>, Index whole, const Index* lengths,
                   Index steps, const Index* counted, Matrix<T> d, double* costs, RunState* state);

}  // namespace cuda
}  // namespace gradwell

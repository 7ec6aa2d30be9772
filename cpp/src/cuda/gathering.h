// Rows of a set of samples, gathered for a step: those that `order` names from state->step * batch on. All of it lies
// on the device. Private to cpp/src/cuda.
#pragma once

#include "cuda/launch.h"
#include "cuda/step.h"

namespace gradwell {
namespace cuda {

template <class T>
void gather_rows(Queue&, Matrix<const T> from, const Index* order, const RunState* state, Index batch, Matrix<T> to);
// `per_row` numbers of each of `rows` rows: classes, or lengths.
void gather_numbers(Queue&, const Index* from, Index per_row, const Index* order, const RunState* state, Index batch,
                    Index rows, Index* to);
// *sum = the sum of `count` numbers.
void sum_numbers(Queue&, const Index* numbers, Index count, Index* sum);

}  // namespace cuda
}  // namespace gradwell

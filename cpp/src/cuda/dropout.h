// Dropout on arrays of the device; contracts: gradwell/dropout.h. Private to cpp/src/cuda.
#pragma once

#include "cuda/launch.h"
#include "cuda/step.h"
#include "gradwell/dropout.h"

namespace gradwell {
namespace cuda {

template <class T>
void dropout_forward(Queue&, Matrix<const T> x, double rate, DropoutKey, Index first_row, Matrix<T> mask, Matrix<T> y);
// The same of a whole batch, seed and step taken from the run under way.
template <class T>
void dropout_forward(Queue&, Matrix<const T> x, double rate, const RunState* state, std::uint32_t layer, Matrix<T> mask,
                     Matrix<T> y);
template <class T>
void dropout_multiply(Queue&, Matrix<const T> a, Matrix<const T> b, Matrix<T> y);

}  // namespace cuda
}  // namespace gradwell

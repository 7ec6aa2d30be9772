// Embedding tables on arrays of the device. Private to cpp/src/cuda.
//
// x (batch, steps) holds tokens as numbers, weight (vocabulary, units); y, dy (batch, steps * units). A token that is
// no row of the table counts as 0.
#pragma once

#include "cuda/launch.h"

namespace gradwell {
namespace cuda {

template <class T>
void embedding_forward(Queue&, Matrix<const T> x, Matrix<const T> weight, Matrix<T> y);
// dweight is the sum of dy over the steps that used a row, in the order of rows and steps, in T.
template <class T>
void embedding_backward(Queue&, Matrix<const T> x, Matrix<const T> dy, Matrix<T> dweight);
// Tokens have no gradient: dx = 0.
template <class T>
void embedding_backward_input(Queue&, Matrix<T> dx);

}  // namespace cuda
}  // namespace gradwell

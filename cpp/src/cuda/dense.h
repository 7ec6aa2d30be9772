// The dense layer on arrays of the device; contracts: gradwell/dense.h. Private to cpp/src/cuda.
#pragma once

#include "cuda/product.h"
#include "gradwell/dense.h"

namespace gradwell {
namespace cuda {

template <class T>
void dense_forward(Queue&, Matrix<const T> x, Matrix<const T> weight, const T* bias, Activation, Matrix<T> z,
                   Matrix<T> y);
template <class T>
void dense_backward_input(Queue&, Matrix<const T> delta, Matrix<const T> weight, Derivative<T> below, Matrix<T> dx);
template <class T>
void dense_backward_weight(Queue&, Matrix<const T> x, Matrix<const T> delta, Matrix<T> dweight);
template <class T>
void dense_backward_bias(Queue&, Matrix<const T> delta, T* dbias);

}  // namespace cuda
}  // namespace gradwell

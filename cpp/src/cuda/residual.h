// The joints of residual blocks on arrays of the device; contracts: gradwell/residual.h. Private to cpp/src/cuda.
#pragma once

#include "cuda/launch.h"
#include "gradwell/residual.h"

namespace gradwell {
namespace cuda {

// A number that is known, or, where `learned` is not null, one that lies on the device.
template <class T>
struct Scale {
  T fixed;
  const T* learned;
};

template <class T>
void residual_forward(Queue&, Matrix<const T> skip, Matrix<const T> branch, Scale<T>, Activation, Matrix<T> z,
                      Matrix<T> y);
template <class T>
void residual_scaled(Queue&, Matrix<const T> x, Scale<T>, Matrix<T> y);
template <class T>
void residual_add(Queue&, Matrix<const T> x, Matrix<T> y);
// sums[0] = the sum of x y, and *rounded the same in T unless it is null. `sums` has room for dot_scratch(elements).
template <class T>
void residual_dot(Queue&, Matrix<const T> x, Matrix<const T> y, double* sums, T* rounded = nullptr);
Index dot_scratch(Index elements);

}  // namespace cuda
}  // namespace gradwell

// Activations on arrays of the device; contracts: gradwell/activation.h. Private to cpp/src/cuda.
#pragma once

#include "cuda/launch.h"
#include "gradwell/activation.h"

namespace gradwell {
namespace cuda {

template <class T>
void activation_forward(Queue&, Activation, Matrix<const T> x, Matrix<T> y);
template <class T>
void activation_derivative(Queue&, Activation, Matrix<const T> x, Matrix<T> d);
template <class T>
void activation_backward(Queue&, Activation, Saved which, Matrix<const T> dy, Matrix<const T> saved, Matrix<T> dx);
template <class T>
void prelu_forward(Queue&, Matrix<const T> x, const T* slope, Matrix<T> y);
template <class T>
void prelu_backward(Queue&, Matrix<const T> dy, Matrix<const T> x, const T* slope, Matrix<T> dx, T* dslope);
// Adds to *flat, and makes alive[j] other than 0, as the kernel of the table does.
template <class T>
void activation_saturation(Queue&, Derivative<T> of, unsigned long long* flat, typename SameSize<T>::Integer* alive);

// The same of many matrices by few launches; the tasks lie on the host and are read at once.
template <class T>
struct SaturationTask {
  Derivative<T> of;
  unsigned long long* flat;
  typename SameSize<T>::Integer* alive;
};
template <class T>
void activation_saturations(Queue&, const SaturationTask<T>* tasks, int count);

}  // namespace cuda
}  // namespace gradwell

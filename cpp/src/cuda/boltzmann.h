// Restricted Boltzmann machines on arrays of the device; contracts: gradwell/boltzmann.h. Private to cpp/src/cuda.
#pragma once

#include "cuda/launch.h"
#include "gradwell/boltzmann.h"

namespace gradwell {
namespace cuda {

template <class T>
void boltzmann_conditional(Queue&, Matrix<const T> x, Matrix<const T> weight, bool transposed, const T* bias, UnitKind,
                           DrawKey, Index first_row, Matrix<T> mean, Matrix<T> sample);
template <class T>
void boltzmann_free_energy(Queue&, Matrix<const T> v, Matrix<const T> weight, const T* visible_bias,
                           const T* hidden_bias, UnitKind, Matrix<T> z, double* energy);
template <class T>
void boltzmann_pseudo_likelihood(Queue&, Matrix<const T> v, Matrix<const T> weight, const T* visible_bias,
                                 Matrix<const T> z, double* sums);
// `of_data` and `of_model`, of the weight's shape, are scratch.
template <class T>
void boltzmann_update(Queue&, Matrix<const T> v_data, Matrix<const T> h_data, Matrix<const T> v_model,
                      Matrix<const T> h_model, BoltzmannStep, Matrix<T> of_data, Matrix<T> of_model, Matrix<T> velocity,
                      Matrix<T> weight);
template <class T>
void squared_distance(Queue&, Matrix<const T> a, Matrix<const T> b, double* errors);

}  // namespace cuda
}  // namespace gradwell

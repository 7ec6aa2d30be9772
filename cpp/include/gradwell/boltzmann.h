// Restricted Boltzmann machines (Smolensky 1986; Hinton 2002): visible units v and hidden units h, joined by W.
//
//   binary visible units    E(v, h) = -v.a - h.b - v W h            p(v_i = 1 | h) = sigmoid(a_i + (W h)_i)
//   Gaussian, of variance 1 E(v, h) = |v - a|^2 / 2 - h.b - v W h   p(v_i | h) = N(a_i + (W h)_i, 1)
//   both                                                            p(h_j = 1 | v) = sigmoid(b_j + (v W)_j)
//
//   F(v) = -log sum_h exp(-E(v, h)) = -v.a (or |v - a|^2 / 2) - sum_j softplus(b_j + (v W)_j)
//
// v (batch, visible), h (batch, hidden), W (visible, hidden), a (visible), b (hidden). What element (row, column) draws
// depends on (seed, step, stream, row, column) alone, by Philox 4x32-10: the same on any thread, and after a resume.
// Every sum runs in one fixed order. No output may overlap an input but where it says so.
#pragma once

#include "gradwell/types.h"

namespace gradwell {

enum class UnitKind : int { binary, gaussian };

struct DrawKey {
  std::uint64_t seed;
  std::uint64_t step;
  std::uint32_t stream;
};

// velocity = momentum velocity + positive v'h of the data - negative v'h of the model - decay W, then W += velocity.
struct BoltzmannStep {
  double positive;
  double negative;
  double momentum;
  double decay;
};

template <class T>
struct BoltzmannKernels {
  // mean = the expectation of the units given x, which is v, or h where `transposed`; and a draw, unless sample.data is
  // null. The first row is number `first_row` of the batch.
  void (*conditional)(Context, Matrix<const T> x, Matrix<const T> weight, bool transposed, const T* bias, UnitKind,
                      DrawKey, Index first_row, Matrix<T> mean, Matrix<T> sample);
  // energy (batch) = F(v); z (batch, hidden) is scratch and becomes b + v W.
  void (*free_energy)(Context, Matrix<const T> v, Matrix<const T> weight, const T* visible_bias, const T* hidden_bias,
                      UnitKind, Matrix<T> z, double* energy);
  // sums (batch) = sum_i log p(v_i | the other v) of binary v, given z = b + v W (Besag 1975).
  void (*pseudo_likelihood)(Context, Matrix<const T> v, Matrix<const T> weight, const T* visible_bias,
                            Matrix<const T> z, double* sums);
  void (*update)(Context, Matrix<const T> v_data, Matrix<const T> h_data, Matrix<const T> v_model,
                 Matrix<const T> h_model, BoltzmannStep, Matrix<T> velocity, Matrix<T> weight);
  // errors (batch) = |a - b|^2 of each row.
  void (*squared_distance)(Context, Matrix<const T> a, Matrix<const T> b, double* errors);
};

}  // namespace gradwell

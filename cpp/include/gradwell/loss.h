// Losses: the mean over the batch of a per-row cost, and its derivative by the outputs.
//
//   softmax_cross_entropy  sum_k t_k (log sum_j e^(a_j) - a_k)         d = (s softmax(a) - t) / B, s = sum_k t_k
//   sigmoid_cross_entropy  sum_k softplus(a_k) - t_k a_k               d = (sigmoid(a) - t) / B
//   quadratic              1/2 sum_k (a_k - t_k)^2                     d = (a - t) / B
//   mean_squared_error     1/K sum_k (a_k - t_k)^2                     d = 2 (a - t) / (B K)
//
// outputs a, targets t, gradient d (batch B, outputs K). sigmoid_cross_entropy is the cross-entropy of Nielsen
// (2015, chapter 3), summed over logistic outputs. Row costs are kept in double.
#pragma once

#include "gradwell/types.h"

namespace gradwell {

// The targets: class numbers, one a row, or a matrix of the shape of the outputs. One of the two is null.
template <class T>
struct Targets {
  const Index* classes;
  Matrix<const T> values;
};

// `correct` counts rows whose largest output is the target class (for one output: its sign).
struct LossResult {
  double sum;
  Index correct;
  Index counted = 0;  // rows, or steps of sequences
};

template <class T>
struct LossKernels {
  // Writes every row's cost and returns `correct`; divides the gradient by `batch`. d.data may be null.
  Index (*evaluate)(Context, LossKind, Matrix<const T> outputs, Targets<T> targets, Index batch, Matrix<T> d,
                    double* costs);
};

}  // namespace gradwell

// The plain types every part of the core shares: sizes, views that do not own, and what a kernel is told
// about the machine. They have no member functions, so that a file compiled for one CPU level can use them
// without leaving an inline function behind for the others.
#pragma once

#include <cstdint>

namespace gradwell {

using Index = std::int64_t;

// A row-major matrix somewhere in memory: element (i, j) is data[i * stride + j].
template <class T>
struct Matrix {
  T* data;
  Index rows;
  Index columns;
  Index stride;
};

// What a kernel may use: how many threads, and whether denormal numbers count as zero.
struct Context {
  int threads;
  bool flush_denormals;
};

enum class ActivationKind : int {
  identity,
  sigmoid,
  tanh,
  relu,
  leaky_relu,
  elu,
  selu,
  softplus,
  silu,
  gelu,
};

// `alpha` is the slope of leaky_relu for z <= 0 and the scale of elu; the others ignore it.
struct Activation {
  ActivationKind kind;
  double alpha;
};

enum class LossKind : int { softmax_cross_entropy, sigmoid_cross_entropy, quadratic, mean_squared_error };

}  // namespace gradwell

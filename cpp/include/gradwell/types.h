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

// Threads that are awake and waiting for tasks (core/team.h), as kernels see them: `run` calls body(argument, task)
// once for every task in [0, tasks), on any of them, and returns when all are done.
struct Team {
  void (*run)(const Team* team, Index tasks, void (*body)(void* argument, Index task), void* argument);
};

// What a kernel may use: how many threads, a team of as many or null, and from how many multiply-adds on a second
// thread is worth its while; and whether denormal numbers count as zero.
struct Context {
  int threads;
  bool flush_denormals;
  const Team* team = nullptr;
  Index worth = 0;
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

// Which of x and y the derivative is taken from.
enum class Saved : int { input, output };

// All that is needed for a derivative: the activation, and its input or output.
template <class T>
struct Derivative {
  Activation activation;
  Saved which;
  Matrix<const T> saved;
};

// The constants of a step of stochastic gradient descent (optimizers.h).
struct Sgd {
  double learning_rate;
  double weight_decay;
  double l2;
};

// Of products of float32 on a device: factors may be rounded to TF32 (10 bits) or bfloat16 (7 bits); sums stay in
// float32.
enum class Precision : int { float32, tf32, bf16 };

enum class LossKind : int { softmax_cross_entropy, sigmoid_cross_entropy, quadratic, mean_squared_error };

}  // namespace gradwell

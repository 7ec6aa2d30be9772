// Rules that turn a gradient into a step, in place on a run of `count` parameters p with their state.
//
// First g is made of the gradient: scaled, cut off at +-limit, and the penalties' gradient added,
//
//   g = clamp(scale * gradient, limit) + l2 p + l1 sign(p)      p <- (1 - learning_rate * weight_decay) p
//
// (decoupled decay: Loshchilov, Hutter 2019). Then, with states v, m starting at 0 and step t = 1, 2, ...
//
//   sgd       p -= eta g                                                          Robbins, Monro 1951
//   momentum  v = mu v + (1 - dampening) g          p -= eta v                    Polyak 1964
//   nesterov  v as above                            p -= eta (g + mu v)           Sutskever et al. 2013
//   adagrad   v += g^2                              p -= eta g / (sqrt v + eps)   Duchi et al. 2011
//   rmsprop   v = rho v + (1 - rho) g^2             m = mu m + g / (sqrt v + eps)    p -= eta m    Hinton 2012
//   adam      m = b1 m + (1 - b1) g     v = b2 v + (1 - b2) g^2
//             p -= eta m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps)              Kingma, Ba 2015
//   rprop     the step size of a parameter, m, grows by 1.2 while its gradient keeps the sign and halves when it
//             turns, after which it rests once; v is the gradient before. p -= m sign(g)   Riedmiller, Braun 1993
//
// The constants are rounded to T once. No element depends on another: the same bits on any thread.
#pragma once

#include "gradwell/types.h"

namespace gradwell {

enum class OptimizerKind : int { sgd, momentum, nesterov, adagrad, rmsprop, adam, rprop };

struct StepRule {
  OptimizerKind kind = OptimizerKind::sgd;
  double learning_rate = 0, weight_decay = 0, l2 = 0, l1 = 0;
  double momentum = 0, dampening = 0;  // mu; b1 of adam
  double decay = 0;                    // rho; b2 of adam
  double epsilon = 0;
  double correction1 = 1, correction2 = 1;  // of adam: 1 - b1^t, 1 - b2^t
  double smallest = 0, largest = 0;         // step size of rprop
  double scale = 1;
  double limit = __builtin_inf();
};

// State arrays of as many numbers as there are parameters; those a rule does not use are null.
constexpr int most_states = 2;
template <class T>
struct StepState {
  T* state[most_states];
};

// Sums of squares in double: of the step taken, and of the parameters before it.
struct StepNorms {
  double step;
  double parameter;
};

static inline int states_of(OptimizerKind kind) {
  switch (kind) {
    case OptimizerKind::sgd:
      return 0;
    case OptimizerKind::momentum:
    case OptimizerKind::nesterov:
    case OptimizerKind::adagrad:
      return 1;
    default:
      return 2;
  }
}

template <class T>
struct OptimizerKernels {
  void (*update)(Context, const StepRule&, T* parameter, const T* gradient, StepState<T>, Index count);
  // The same update, bit for bit, and the two norms.
  StepNorms (*update_recorded)(Context, const StepRule&, T* parameter, const T* gradient, StepState<T>, Index count);
};

}  // namespace gradwell

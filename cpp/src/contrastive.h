// Contrastive divergence (Hinton 2002), also with persistent chains (Tieleman 2008): a run of steps on a machine whose
// arrays are the caller's.
//
// Each step: h0 is drawn from p(h | v0); k times v is drawn from p(v | h) and h from p(h | v), from h0 or from where
// the chains of the step before stopped. With s = learning rate / samples and h, v~ and h~ the means given v0 and the
// chain,
//   velocity = momentum velocity + s (v0'h - v~'h~) - learning rate decay W,    W += velocity,
// the same for the biases without decay; with a target t for how active hidden units are (Lee, Ekanadham, Ng 2008), b
// also moves by learning rate cost (t - activity), the activity being a mean over steps that forgets.
#pragma once

#include <vector>

#include "gradwell/boltzmann.h"

namespace gradwell {

template <class T>
struct Machine {
  UnitKind kind;
  Matrix<T> weight, weight_velocity;  // (visible, hidden)
  T *visible_bias, *visible_velocity, *hidden_bias, *hidden_velocity;
  Matrix<T> chains;  // (batch, hidden): states of hidden units; no rows where they are not kept
  double* activity;  // (hidden)
};

struct ContrastivePlan {
  double learning_rate, momentum, decay;
  int k;
  bool persistent, mean_field;  // mean_field: reconstructions are means, not draws
  double target, cost;          // of the activity; a target below 0 is none
  std::uint64_t seed, first_step;
  Index batch;
};

struct ContrastiveRun {
  std::vector<double> errors;  // |v0 - first reconstruction|^2 of each step, mean over its samples
  bool finite = true;          // false: the step after those met a NaN or an infinity, and was not taken
};

// `order` (samples) are rows of x, cut into batches; the last one takes what is left.
template <class T>
ContrastiveRun contrast(Context, Machine<T>, Matrix<const T> x, const Index* order, Index samples,
                        const ContrastivePlan&);

}  // namespace gradwell

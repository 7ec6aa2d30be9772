// How large a step can be: what is known of parameters and velocities without looking at them. Used by the host and by
// devices.
#pragma once

#include "gradwell/optimizers.h"

#if defined(__CUDACC__)
#define GRADWELL_ANYWHERE __host__ __device__
#else
#define GRADWELL_ANYWHERE
#endif

namespace gradwell {

// The largest penalties of all slices.
struct MostPenalty {
  double l1, l2;
};
// Above every |parameter| and every |velocity|.
struct StepBound {
  double parameter, velocity;
};

GRADWELL_ANYWHERE inline bool has_velocity(OptimizerKind kind) {
  return kind == OptimizerKind::momentum || kind == OptimizerKind::nesterov;
}

// The largest step of a parameter whose gradient is at most `steepest` and whose velocity at most `velocity`. The
// adaptive rules divide by a root that holds the gradient's square; Adam: by the inequality of Cauchy and Schwarz
// between its two averages.
GRADWELL_ANYWHERE inline double largest_step(const StepRule& rule, double steepest, double velocity) {
  switch (rule.kind) {
    case OptimizerKind::sgd:
      return rule.learning_rate * steepest;
    case OptimizerKind::momentum:
    case OptimizerKind::nesterov:
      return rule.learning_rate * (velocity + 2 * steepest);
    case OptimizerKind::adagrad:
      return rule.learning_rate;
    case OptimizerKind::rmsprop:
      return rule.learning_rate / __builtin_sqrt(1 - rule.decay) / (1 - rule.momentum);
    case OptimizerKind::adam: {
      const double b1 = rule.momentum, b2 = rule.decay, ratio = b1 * b1 / b2;
      const double most = ratio < 1 ? (1 - b1) / __builtin_sqrt((1 - b2) * (1 - ratio)) : 1 / __builtin_sqrt(1 - b2);
      return rule.learning_rate * most * __builtin_sqrt(rule.correction2) / rule.correction1;
    }
    case OptimizerKind::rprop:
      return rule.largest;
  }
  return 0;
}

// The largest gradient once the penalties' has been added.
GRADWELL_ANYWHERE inline double penalised_gradient(const StepRule& rule, double steepest, MostPenalty most,
                                                   StepBound bound) {
  return steepest + most.l1 + (rule.kind == OptimizerKind::sgd ? 0 : most.l2 * bound.parameter);
}

// What a gradient must stay below, by the rules that square it, where parameters stay below `limit`.
GRADWELL_ANYWHERE inline double gradient_limit(OptimizerKind kind, double limit) {
  const bool squares = kind == OptimizerKind::adagrad || kind == OptimizerKind::rmsprop || kind == OptimizerKind::adam;
  return squares ? __builtin_sqrt(limit) : limit;
}

// The bound on the parameters after a step. The rate is taken as the kernel rounds it: one too large for T is infinite,
// 0 times it NaN.
template <class T>
GRADWELL_ANYWHERE inline double parameter_bound_after(const StepRule& rule, double gradient, MostPenalty most,
                                                      StepBound bound) {
  const double decay = rule.weight_decay + (rule.kind == OptimizerKind::sgd ? most.l2 : 0);
  const double keep = __builtin_fabs(1.0 - rule.learning_rate * decay);
  StepRule rounded = rule;
  rounded.learning_rate = static_cast<double>(static_cast<T>(rule.learning_rate));
  return (keep > 1 ? keep : 1.0) * bound.parameter + largest_step(rounded, gradient, bound.velocity);
}

GRADWELL_ANYWHERE inline double velocity_bound_after(const StepRule& rule, double gradient, StepBound bound) {
  return has_velocity(rule.kind) ? bound.velocity * rule.momentum + gradient : bound.velocity;
}

}  // namespace gradwell

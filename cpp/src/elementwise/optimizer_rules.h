// One functor an optimiser: the parameter after a step, from parameter, gradient and state. Formulas and sources:
// gradwell/optimizers.h. Shared by the levels of cpp/src/cpu and by cpp/src/cuda.
#pragma once

#include "elementwise/sgd_rule.h"
#include "gradwell/optimizers.h"

namespace gradwell {
namespace GRADWELL_LEVEL {

// What comes before every rule.
template <class T>
struct Prepared {
  T scale, limit, l2, l1, keep, rate;
  bool clamped;
  GRADWELL_BOTH explicit Prepared(const StepRule& r)
      : scale(static_cast<T>(r.scale)),
        limit(static_cast<T>(r.limit)),
        l2(static_cast<T>(r.l2)),
        l1(static_cast<T>(r.l1)),
        keep(static_cast<T>(1.0 - r.learning_rate * r.weight_decay)),
        rate(static_cast<T>(-r.learning_rate)),
        clamped(r.limit < static_cast<double>(__builtin_inf())) {}
  GRADWELL_MEMBER Pack<T> scaled(Pack<T> g) const {
    g = g * scale;
    return clamped ? at_least<T>(at_most<T>(g, limit), -limit) : g;
  }
  GRADWELL_MEMBER Pack<T> gradient(Pack<T> p, Pack<T> g) const {
    g = scaled(g);
    if (l2 != T(0)) g = fma(broadcast(l2), p, g);
    if (l1 != T(0)) g = g + (p > T(0) ? broadcast(l1) : (p < T(0) ? broadcast(-l1) : Pack<T>{}));
    return g;
  }
};

template <class T>
struct PlainRule : Prepared<T> {
  static constexpr int states = 0;
  SgdRule<T> rule;
  GRADWELL_BOTH explicit PlainRule(const StepRule& r)
      : Prepared<T>(r), rule(rule_of<T>(Sgd{r.learning_rate, r.weight_decay, r.l2})) {
    this->l2 = 0;  // in the rule
  }
  GRADWELL_MEMBER Pack<T> operator()(Pack<T> p, Pack<T> g, Pack<T>*) const { return rule(p, this->gradient(p, g)); }
};

template <class T>
struct MomentumRule : Prepared<T> {
  static constexpr int states = 1;
  T momentum, share;
  bool nesterov;
  GRADWELL_BOTH explicit MomentumRule(const StepRule& r)
      : Prepared<T>(r),
        momentum(static_cast<T>(r.momentum)),
        share(static_cast<T>(1.0 - r.dampening)),
        nesterov(r.kind == OptimizerKind::nesterov) {}
  GRADWELL_MEMBER Pack<T> operator()(Pack<T> p, Pack<T> g, Pack<T>* s) const {
    g = this->gradient(p, g);
    s[0] = fma(broadcast(momentum), s[0], g * share);
    return fma(broadcast(this->rate), nesterov ? fma(broadcast(momentum), s[0], g) : s[0], p * this->keep);
  }
};

template <class T>
struct AdagradRule : Prepared<T> {
  static constexpr int states = 1;
  T epsilon;
  GRADWELL_BOTH explicit AdagradRule(const StepRule& r) : Prepared<T>(r), epsilon(static_cast<T>(r.epsilon)) {}
  GRADWELL_MEMBER Pack<T> operator()(Pack<T> p, Pack<T> g, Pack<T>* s) const {
    g = this->gradient(p, g);
    s[0] = fma(g, g, s[0]);
    return fma(broadcast(this->rate), g / (root(s[0]) + epsilon), p * this->keep);
  }
};

template <class T>
struct RmspropRule : Prepared<T> {
  static constexpr int states = 2;
  T decay, share, momentum, epsilon;
  GRADWELL_BOTH explicit RmspropRule(const StepRule& r)
      : Prepared<T>(r),
        decay(static_cast<T>(r.decay)),
        share(static_cast<T>(1.0 - r.decay)),
        momentum(static_cast<T>(r.momentum)),
        epsilon(static_cast<T>(r.epsilon)) {}
  GRADWELL_MEMBER Pack<T> operator()(Pack<T> p, Pack<T> g, Pack<T>* s) const {
    g = this->gradient(p, g);
    s[0] = fma(broadcast(decay), s[0], g * g * share);
    s[1] = fma(broadcast(momentum), s[1], g / (root(s[0]) + epsilon));
    return fma(broadcast(this->rate), s[1], p * this->keep);
  }
};

template <class T>
struct AdamRule : Prepared<T> {
  static constexpr int states = 2;
  T decay1, share1, decay2, share2, rate1, root2, epsilon;
  GRADWELL_BOTH explicit AdamRule(const StepRule& r)
      : Prepared<T>(r),
        decay1(static_cast<T>(r.momentum)),
        share1(static_cast<T>(1.0 - r.momentum)),
        decay2(static_cast<T>(r.decay)),
        share2(static_cast<T>(1.0 - r.decay)),
        rate1(static_cast<T>(-r.learning_rate / r.correction1)),
        root2(static_cast<T>(1.0 / __builtin_sqrt(r.correction2))),
        epsilon(static_cast<T>(r.epsilon)) {}
  GRADWELL_MEMBER Pack<T> operator()(Pack<T> p, Pack<T> g, Pack<T>* s) const {
    g = this->gradient(p, g);
    s[0] = fma(broadcast(decay1), s[0], g * share1);
    s[1] = fma(broadcast(decay2), s[1], g * g * share2);
    return fma(s[0] * rate1, broadcast(T(1)) / fma(root(s[1]), broadcast(root2), broadcast(epsilon)), p * this->keep);
  }
};

template <class T>
struct RpropRule : Prepared<T> {
  static constexpr int states = 2;
  T smallest, largest, first;
  GRADWELL_BOTH explicit RpropRule(const StepRule& r)
      : Prepared<T>(r),
        smallest(static_cast<T>(r.smallest)),
        largest(static_cast<T>(r.largest)),
        first(static_cast<T>(r.learning_rate)) {}
  GRADWELL_MEMBER Pack<T> operator()(Pack<T> p, Pack<T> g, Pack<T>* s) const {
    g = this->gradient(p, g);
    // By signs, since the product of two small gradients would underflow.
    const Bits<T> same = ((g > T(0)) & (s[0] > T(0))) | ((g < T(0)) & (s[0] < T(0)));
    const Bits<T> turned = ((g > T(0)) & (s[0] < T(0))) | ((g < T(0)) & (s[0] > T(0)));
    const Pack<T> size = s[1] > T(0) ? s[1] : broadcast(first);
    s[1] = same ? at_most<T>(size * T(1.2), largest) : (turned ? at_least<T>(size * T(0.5), smallest) : size);
    s[0] = turned ? Pack<T>{} : g;
    const Pack<T> step = s[0] > T(0) ? s[1] : (s[0] < T(0) ? -s[1] : Pack<T>{});
    return p * this->keep - step;
  }
};

// Calls body(rule) with the rule's own type.
GRADWELL_ANY_CALLER
template <class T, class Body>
GRADWELL_BOTH static inline void with_rule(const StepRule& r, Body&& body) {
  switch (r.kind) {
    case OptimizerKind::sgd:
      return body(PlainRule<T>(r));
    case OptimizerKind::momentum:
    case OptimizerKind::nesterov:
      return body(MomentumRule<T>(r));
    case OptimizerKind::adagrad:
      return body(AdagradRule<T>(r));
    case OptimizerKind::rmsprop:
      return body(RmspropRule<T>(r));
    case OptimizerKind::adam:
      return body(AdamRule<T>(r));
    case OptimizerKind::rprop:
      return body(RpropRule<T>(r));
  }
}

}  // namespace GRADWELL_LEVEL
}  // namespace gradwell

// One step of stochastic gradient descent on a vector of parameters. Shared by the levels of cpp/src/cpu and by
// cpp/src/cuda.
#pragma once

#include "elementwise/lanes.h"
#include "gradwell/types.h"

namespace gradwell {
namespace GRADWELL_LEVEL {

// The constants are rounded to T once.
template <class T>
struct SgdRule {
  T keep;  // 1 - learning_rate * (weight_decay + l2)
  T rate;  // -learning_rate
  GRADWELL_MEMBER Pack<T> operator()(Pack<T> p, Pack<T> g) const { return fma(broadcast(rate), g, p * keep); }
};

template <class T>
GRADWELL_BOTH static inline SgdRule<T> rule_of(Sgd sgd) {
  return {static_cast<T>(1.0 - sgd.learning_rate * (sgd.weight_decay + sgd.l2)), static_cast<T>(-sgd.learning_rate)};
}

}  // namespace GRADWELL_LEVEL
}  // namespace gradwell

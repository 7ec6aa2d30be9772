// One functor an activation: value and derivative from x, derivative from y = f(x), and sup |f'|.
// Formulas and sources: gradwell/activation.h. Shared by the levels of cpp/src/cpu and by cpp/src/cuda.
#pragma once

#include "elementwise/math.h"
#include "gradwell/activation.h"

namespace gradwell {
namespace GRADWELL_LEVEL {

template <class T>
struct Identity {
  GRADWELL_MEMBER Pack<T> value(Pack<T> x) const { return x; }
  GRADWELL_MEMBER Pack<T> derivative(Pack<T>) const { return broadcast(T(1)); }
  GRADWELL_MEMBER Pack<T> from_output(Pack<T>) const { return broadcast(T(1)); }
  GRADWELL_BOTH T steepest() const { return 1; }
};

template <class T>
struct Sigmoid {
  GRADWELL_MEMBER Pack<T> value(Pack<T> x) const { return sigmoid<T>(x); }
  GRADWELL_MEMBER Pack<T> derivative(Pack<T> x) const { return sigmoid_derivative<T>(x); }
  GRADWELL_MEMBER Pack<T> from_output(Pack<T> y) const { return y * (T(1) - y); }
  GRADWELL_BOTH T steepest() const { return T(0.25); }
};

template <class T>
struct Tanh {
  GRADWELL_MEMBER Pack<T> value(Pack<T> x) const { return tanh<T>(x); }
  GRADWELL_MEMBER Pack<T> derivative(Pack<T> x) const { return T(4) * sigmoid_derivative<T>(x + x); }
  GRADWELL_MEMBER Pack<T> from_output(Pack<T> y) const { return (T(1) - y) * (T(1) + y); }
  GRADWELL_BOTH T steepest() const { return 1; }
};

// relu is leaky_relu with slope 0, and both keep a NaN: x * (x > 0 ? 1 : slope).
template <class T>
struct LeakyRelu {
  T slope;
  GRADWELL_MEMBER Pack<T> value(Pack<T> x) const { return x > T(0) ? x : slope_times(x); }
  GRADWELL_MEMBER Pack<T> derivative(Pack<T> x) const {
    return x > T(0) ? broadcast(T(1)) : (x <= T(0) ? broadcast(slope) : x);
  }
  GRADWELL_MEMBER Pack<T> from_output(Pack<T> y) const { return derivative(y); }
  GRADWELL_BOTH T steepest() const { return slope > 1 ? slope : T(1); }

 private:
  // 0 * -infinity would be NaN.
  GRADWELL_MEMBER Pack<T> slope_times(Pack<T> x) const { return slope == 0 ? (x <= T(0) ? Pack<T>{} : x) : x * slope; }
};

template <class T>
struct Elu {
  T scale;  // of both branches: 1 for elu
  T alpha;
  GRADWELL_MEMBER Pack<T> value(Pack<T> x) const {
    const Pack<T> negative = (scale * alpha) * expm1_negative<T>(x > T(0) ? Pack<T>{} : x);
    return x > T(0) ? scale * x : negative;
  }
  GRADWELL_MEMBER Pack<T> derivative(Pack<T> x) const {
    return x > T(0) ? broadcast(scale) : (scale * alpha) * exp<T>(x > T(0) ? Pack<T>{} : x);
  }
  GRADWELL_MEMBER Pack<T> from_output(Pack<T> y) const { return y > T(0) ? broadcast(scale) : y + scale * alpha; }
  GRADWELL_BOTH T steepest() const { return alpha > 1 ? scale * alpha : scale; }
};

template <class T>
struct Softplus {
  GRADWELL_MEMBER Pack<T> value(Pack<T> x) const { return softplus<T>(x); }
  GRADWELL_MEMBER Pack<T> derivative(Pack<T> x) const { return sigmoid<T>(x); }
  GRADWELL_BOTH T steepest() const { return 1; }
};

template <class T>
struct Silu {
  GRADWELL_MEMBER Pack<T> value(Pack<T> x) const { return (x > T(0) ? x : bounded(x)) * sigmoid<T>(x); }
  GRADWELL_MEMBER Pack<T> derivative(Pack<T> x) const {
    return fma(bounded(x), sigmoid_derivative<T>(x), sigmoid<T>(x));
  }
  GRADWELL_BOTH T steepest() const { return T(1.0998393194985); }  // at x = 2.3994

 private:
  // Beyond 1000 the tails are 0: no 0 * infinity.
  static GRADWELL_MEMBER Pack<T> bounded(Pack<T> x) {
    const Pack<T> low = x < T(-1000) ? broadcast(T(-1000)) : x;
    return low > T(1000) ? broadcast(T(1000)) : low;
  }
};

template <class T>
struct Gelu {
  GRADWELL_MEMBER Pack<T> value(Pack<T> x) const {
    const auto n = normal_tail<T>(x);
    return x > T(0) ? x - n.t * (n.bell * n.mills) : -(n.t * n.mills) * n.bell;
  }
  GRADWELL_MEMBER Pack<T> derivative(Pack<T> x) const {  // Phi(x) + x phi(x), with phi(x) = bell / sqrt(2 pi)
    const auto n = normal_tail<T>(x);
    const Pack<T> side = n.bell * (n.t * T(0.3989422804014327) - n.mills);
    return x > T(0) ? side + T(1) : -side;
  }
  GRADWELL_BOTH T steepest() const { return T(1.1289041451978); }  // at x = sqrt 2
};

// Calls body with the functor of `activation`.
GRADWELL_ANY_CALLER
template <class T, class Body>
GRADWELL_BOTH static inline void with_functor(Activation activation, Body&& body) {
  switch (activation.kind) {
    case ActivationKind::identity:
      return body(Identity<T>{});
    case ActivationKind::sigmoid:
      return body(Sigmoid<T>{});
    case ActivationKind::tanh:
      return body(Tanh<T>{});
    case ActivationKind::relu:
      return body(LeakyRelu<T>{T(0)});
    case ActivationKind::leaky_relu:
      return body(LeakyRelu<T>{static_cast<T>(activation.alpha)});
    case ActivationKind::elu:
      return body(Elu<T>{T(1), static_cast<T>(activation.alpha)});
    case ActivationKind::selu:
      return body(Elu<T>{T(1.0507009873554805), T(1.6732632423543772)});
    case ActivationKind::softplus:
      return body(Softplus<T>{});
    case ActivationKind::silu:
      return body(Silu<T>{});
    case ActivationKind::gelu:
      return body(Gelu<T>{});
  }
}

// The derivative a functor gives from `saved`; those without from_output are asked for x only.
template <class T, class F>
GRADWELL_INLINE auto derivative_of(const F& f, Pack<T> saved, bool output, int) -> decltype(f.from_output(saved)) {
  return output ? f.from_output(saved) : f.derivative(saved);
}
template <class T, class F>
GRADWELL_INLINE Pack<T> derivative_of(const F& f, Pack<T> saved, bool, long) {
  return f.derivative(saved);
}

}  // namespace GRADWELL_LEVEL
}  // namespace gradwell

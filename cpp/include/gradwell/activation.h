// Activations, element by element: y = f(x).
//
//   identity    x                                    softplus  log(1 + e^x)          (Dugas et al. 2001)
//   sigmoid     1 / (1 + e^-x)                       silu      x sigmoid(x)          (Elfwing et al. 2017)
//   tanh        (e^x - e^-x) / (e^x + e^-x)          gelu      x Phi(x), exact       (Hendrycks, Gimpel 2016)
//   relu        max(x, 0)                            elu       x or alpha (e^x - 1)  (Clevert et al. 2015)
//   leaky_relu  x or alpha x      (Maas et al. 2013) selu      scaled elu            (Klambauer et al. 2017)
//   prelu       leaky_relu with a learned slope a column (He et al. 2015)
//
// Where two branches meet at x = 0 the derivative is the one from the left: relu'(0) = 0.
// A derivative can be had from x, accurate everywhere, or from y = f(x), which is what a network keeps. From y
// it is exactly 0 where y has rounded to its limit: that unit is saturated in this precision.
// No output may overlap an input, except that dx may be dy and y may be x.
#pragma once

#include "gradwell/types.h"

namespace gradwell {

// An integer as wide as T.
template <class T>
struct SameSize;
template <>
struct SameSize<float> {
  using Integer = std::int32_t;
};
template <>
struct SameSize<double> {
  using Integer = std::int64_t;
};

template <class T>
struct ActivationKernels {
  // x, y (rows, columns)
  void (*forward)(Context, Activation, Matrix<const T> x, Matrix<T> y);
  void (*derivative)(Context, Activation, Matrix<const T> x, Matrix<T> d);
  // dx = dy * f'; `saved` is x or y as `which` says.
  void (*backward)(Context, Activation, Saved which, Matrix<const T> dy, Matrix<const T> saved, Matrix<T> dx);
  // slope (columns); dslope = sum over rows of dy * min(x, 0), summed in double.
  void (*prelu_forward)(Context, Matrix<const T> x, const T* slope, Matrix<T> y);
  void (*prelu_backward)(Context, Matrix<const T> dy, Matrix<const T> x, const T* slope, Matrix<T> dx, T* dslope);
  // Counts elements with |f'| < 0.01 sup|f'|, and makes alive[j] other than 0 where column j has one above. `alive`
  // has room for whole vectors: a multiple of 16 numbers.
  Index (*saturation)(Context, Derivative<T> of, typename SameSize<T>::Integer* alive);
};

// True where f' can be computed from y alone.
inline bool derivative_from_output(ActivationKind kind) {
  return kind != ActivationKind::softplus && kind != ActivationKind::silu && kind != ActivationKind::gelu;
}

}  // namespace gradwell

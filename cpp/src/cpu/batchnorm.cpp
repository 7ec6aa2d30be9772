#include "gradwell/batchnorm.h"

#include "cpu/activation_functors.h"
#include "cpu/columns.h"
#include "cpu/level.h"
#include "cpu/parallel.h"

namespace gradwell {
namespace GRADWELL_LEVEL {
namespace {

constexpr Index element_weight = 8;

GRADWELL_INLINE double reciprocal_root(double x) {
  return 1.0 / __builtin_sqrt(x);
}

// What a strip's elements have in common, column by column.
template <class T, int Vectors>
struct Strip {
  Pack<T> high[Vectors], low[Vectors], rstd[Vectors], gamma[Vectors], beta[Vectors];

  Strip(const T* g, const T* b, const double* mean, const double* variance, double epsilon, Index j, int last) {
    alignas(64) T h[lanes<T>], l[lanes<T>], r[lanes<T>];
    for (int v = 0; v < Vectors; ++v) {
      const Index first = j + v * lanes<T>;
      const int n = v == Vectors - 1 ? last : lanes<T>;
      for (int k = 0; k < lanes<T>; ++k) {
        const Index column = k < n ? first + k : first;
        const Split<T> m = split<T>(mean[column]);
        h[k] = m.high;
        l[k] = m.low;
        r[k] = static_cast<T>(reciprocal_root(variance[column] + epsilon));
      }
      high[v] = load(h);
      low[v] = load(l);
      rstd[v] = load(r);
      gamma[v] = g ? load_n<T>(g + first, n) : broadcast(T(1));
      beta[v] = b ? load_n<T>(b + first, n) : Pack<T>{};
    }
  }
  Pack<T> normal(Pack<T> x, int v) const { return (x - high[v] - low[v]) * rstd[v]; }
};

template <class T, int Vectors, class F>
GRADWELL_INLINE void normalise(const Strip<T, Vectors>& s, F f, Matrix<const T> x, Matrix<T> z, Matrix<T> y, Index j,
                               int last) {
  for (Index row = 0; row < x.rows; ++row)
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) {
      const Index at = j + v * lanes<T>;
      const int n = Vectors > 1 ? lanes<T> : last;
      const Pack<T> value = fma(s.normal(load_n<T>(x.data + row * x.stride + at, n), v), s.gamma[v], s.beta[v]);
      if (z.data) store_n<T>(z.data + row * z.stride + at, value, n);
      store_n<T>(y.data + row * y.stride + at, f.value(value), n);
    }
}

// Mean and variance of the columns of a strip: sums of differences from the first row, then of squared differences from
// the mean, while the strip is in the cache.
template <class T, int Vectors>
GRADWELL_INLINE void moments(Matrix<const T> x, Index j, int last, double* mean, double* variance) {
  alignas(64) double sums[Vectors * lanes<T>];
  const double count = static_cast<double>(x.rows);
  const auto at = [&](Index row, int v) {
    return load_n<T>(x.data + row * x.stride + j + v * lanes<T>, Vectors > 1 ? lanes<T> : last);
  };
  Pack<T> first[Vectors], low[Vectors];
#pragma GCC unroll 4
  for (int v = 0; v < Vectors; ++v) first[v] = at(0, v);
  column_sums<T, Vectors>(x.rows, sums, [&](Index row, int v) { return at(row, v) - first[v]; });
  const int columns = (Vectors - 1) * lanes<T> + last;
  alignas(64) T high[Vectors * lanes<T>] = {}, rest[Vectors * lanes<T>] = {};
  for (int k = 0; k < columns; ++k) {
    mean[j + k] = static_cast<double>(x.data[j + k]) + sums[k] / count;
    const Split<T> m = split<T>(mean[j + k]);
    high[k] = m.high;
    rest[k] = m.low;
  }
#pragma GCC unroll 4
  for (int v = 0; v < Vectors; ++v) {
    first[v] = load(high + v * lanes<T>);
    low[v] = load(rest + v * lanes<T>);
  }
  column_sums<T, Vectors>(x.rows, sums, [&](Index row, int v) {
    const Pack<T> d = at(row, v) - first[v] - low[v];
    return d * d;
  });
  for (int k = 0; k < columns; ++k) variance[j + k] = sums[k] / count;
}

// Columns are shared out, a strip at a time: a sum is never cut.
template <class T, class Body>
GRADWELL_INLINE void over_strips(Context context, Matrix<const T> x, Body&& body) {
  const Index tasks = (x.columns + strip_columns<T> - 1) / strip_columns<T>;
  parallel_for(context, tasks, x.rows * x.columns * element_weight, [&](Index task) {
    const Index first = task * strip_columns<T>;
    const Index last = first + strip_columns<T> < x.columns ? first + strip_columns<T> : x.columns;
    for_each_strip<T>(first, last, body);
  });
}

template <class T>
void forward(Context context, Matrix<const T> x, const T* gamma, const T* beta, double epsilon, Activation activation,
             Matrix<T> z, Matrix<T> y, double* mean, double* variance) {
  if (x.rows == 0) return;
  with_functor<T>(activation, [&](auto f) {
    over_strips(context, x, [&](Index j, auto vectors, int last) {
      moments<T, vectors.value>(x, j, last, mean, variance);
      const Strip<T, vectors.value> strip(gamma, beta, mean, variance, epsilon, j, last);
      normalise(strip, f, x, z, y, j, last);
    });
  });
}

template <class T>
void inference(Context context, Matrix<const T> x, const T* gamma, const T* beta, const double* mean,
               const double* variance, double epsilon, Activation activation, Matrix<T> z, Matrix<T> y) {
  with_functor<T>(activation, [&](auto f) {
    over_strips(context, x, [&](Index j, auto vectors, int last) {
      const Strip<T, vectors.value> strip(gamma, beta, mean, variance, epsilon, j, last);
      normalise(strip, f, x, z, y, j, last);
    });
  });
}

template <class T>
void backward(Context context, Matrix<const T> delta, Matrix<const T> x, const T* gamma, const double* mean,
              const double* variance, double epsilon, bool constant, T* dgamma, T* dbeta, Matrix<T> dx) {
  const double share = constant || x.rows == 0 ? 0.0 : 1.0 / static_cast<double>(x.rows);
  over_strips(context, x, [&](Index j, auto vectors, int last) {
    constexpr int count = vectors.value;
    const Strip<T, count> strip(gamma, nullptr, mean, variance, epsilon, j, last);
    const auto at = [&](const auto& m, Index row, int v) {
      return load_n<T>(m.data + row * m.stride + j + v * lanes<T>, count > 1 ? lanes<T> : last);
    };
    alignas(64) double of_delta[count * lanes<T>], of_product[count * lanes<T>];
    const bool summing = dgamma || dbeta || !constant;
    if (summing) {
      column_sums<T, count>(x.rows, of_delta, [&](Index row, int v) { return at(delta, row, v); });
      column_sums<T, count>(x.rows, of_product,
                            [&](Index row, int v) { return at(delta, row, v) * strip.normal(at(x, row, v), v); });
      const int columns = (count - 1) * lanes<T> + last;
      for (int k = 0; k < columns; ++k) {
        if (dbeta) dbeta[j + k] = static_cast<T>(of_delta[k]);
        if (dgamma) dgamma[j + k] = static_cast<T>(of_product[k]);
      }
    }
    if (!dx.data) return;
    Pack<T> mean_delta[count], mean_product[count], slope[count];
    alignas(64) T a[lanes<T>], b[lanes<T>];
    for (int v = 0; v < count; ++v) {
      for (int k = 0; k < lanes<T>; ++k) {
        a[k] = summing ? static_cast<T>(of_delta[v * lanes<T> + k] * share) : T(0);
        b[k] = summing ? static_cast<T>(of_product[v * lanes<T> + k] * share) : T(0);
      }
      mean_delta[v] = load(a);
      mean_product[v] = load(b);
      slope[v] = strip.gamma[v] * strip.rstd[v];
    }
    for (Index row = 0; row < x.rows; ++row)
#pragma GCC unroll 4
      for (int v = 0; v < count; ++v) {
        const Pack<T> rest = at(delta, row, v) - mean_delta[v] - strip.normal(at(x, row, v), v) * mean_product[v];
        store_n<T>(dx.data + row * dx.stride + j + v * lanes<T>, rest * slope[v], count > 1 ? lanes<T> : last);
      }
  });
}

}  // namespace

template <class T>
BatchNormKernels<T> batchnorm_kernels() {
  return {forward<T>, inference<T>, backward<T>};
}
template BatchNormKernels<float> batchnorm_kernels<float>();
template BatchNormKernels<double> batchnorm_kernels<double>();

}  // namespace GRADWELL_LEVEL
}  // namespace gradwell

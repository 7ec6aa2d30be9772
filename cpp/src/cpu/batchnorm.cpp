#include "gradwell/batchnorm.h"

#include <cstdint>

#include "cpu/columns.h"
#include "cpu/level.h"
#include "cpu/parallel.h"
#include "elementwise/activation_functors.h"
#include "elementwise/normal.h"

namespace gradwell {
namespace GRADWELL_LEVEL {
namespace {

constexpr Index element_weight = 8;
constexpr Index most_columns = 512;  // of a task: what a thread keeps for each column stays in its cache
constexpr Index block_rows = 32;     // of all columns of a task, before the next rows: as the memory lies

// The columns of a task, and what the elements of each have in common.
template <class T>
struct Columns {
  Index first, count;
  alignas(64) T high[most_columns];  // the mean, in two parts
  alignas(64) T low[most_columns];
  alignas(64) T slope[most_columns];  // gamma / sqrt(variance + epsilon)
  alignas(64) T offset[most_columns];
  alignas(64) T product[most_columns];
  alignas(64) double sums[2][most_columns];

  void set_mean(const double* mean) {
    for (Index k = 0; k < count; ++k) {
      const Split<T> m = split<T>(mean[first + k]);
      high[k] = m.high;
      low[k] = m.low;
    }
  }
  void set_slope(const T* gamma, const double* variance, double epsilon) {
    for (Index k = 0; k < count; ++k) {
      const double g = gamma ? static_cast<double>(gamma[first + k]) : 1.0;
      slope[k] = normal_slope<T>(g, variance[first + k], epsilon);
    }
  }
};

// Calls body(columns) for a run of columns at a time, whatever the run: a sum is never cut.
template <class T, class Body>
GRADWELL_INLINE void over_columns(Context context, Matrix<const T> x, Body&& body) {
  const Index strips = (x.columns + strip_columns<T> - 1) / strip_columns<T>;
  Index tasks = (x.columns + most_columns - 1) / most_columns;
  if (tasks < context.threads) tasks = strips < context.threads ? strips : context.threads;
  parallel_for(context, tasks, x.rows * x.columns * element_weight, [&](Index task) {
    Columns<T> columns;
    columns.first = strips * task / tasks * strip_columns<T>;
    const Index end = strips * (task + 1) / tasks * strip_columns<T>;
    columns.count = (end < x.columns ? end : x.columns) - columns.first;
    body(columns);
  });
}

// A few vectors of what columns have in common, in registers while some rows go by.
template <class T, int Vectors>
struct Held {
  Pack<T> value[Vectors];
  explicit Held(const T* from) {  // arrays of Columns have room for whole vectors
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) value[v] = load(from + v * lanes<T>);
  }
};

// Whether a result is so large that it had better not pass through the caches, and lies where it can.
template <class T>
bool streams(Matrix<T> m) {
  constexpr Index large = Index{6} << 20;  // bytes
  const auto size = static_cast<Index>(sizeof(T));
  return m.rows * m.columns * size >= large && reinterpret_cast<std::uintptr_t>(m.data) % 64 == 0 &&
         m.stride * size % 64 == 0;
}

// Calls body(begin, end, k, vectors, n): some rows of a strip of columns, block by block. The second time over the same
// rows it is `upward`: the last of them are still in the cache.
template <class T, class Body>
GRADWELL_INLINE void for_each_block(const Columns<T>& c, Index rows, Index high, bool upward, Body&& body) {
  const Index blocks = (rows + high - 1) / high;
  for (Index block = 0; block < blocks; ++block) {
    const Index begin = (upward ? blocks - 1 - block : block) * high;
    const Index end = begin + high < rows ? begin + high : rows;
    for_each_strip<T>(0, c.count, [&](Index k, auto vectors, int last) { body(begin, end, k, vectors, last); });
  }
}

// Adds up two kinds of terms(row, held mean, k, n, v, one, two) for all rows; sums[kind][k] is the sum down column k.
template <class T, class Terms>
GRADWELL_INLINE void sum_down(Columns<T>& c, Index rows, Terms&& terms) {
  for (Index k = 0; k < most_columns; ++k) c.sums[0][k] = c.sums[1][k] = 0;
  for_each_block(c, rows, sum_rows, false, [&](Index begin, Index end, Index k, auto vectors, int last) {
    constexpr int wide = vectors.value;
    const int n = wide > 1 ? lanes<T> : last;
    const Held<T, wide> high(c.high + k), low(c.low + k);
    Pack<T> one[wide] = {}, two[wide] = {};
    for (Index row = begin; row < end; ++row)
#pragma GCC unroll 4
      for (int v = 0; v < wide; ++v) terms(row, k + v * lanes<T>, n, high.value[v], low.value[v], one[v], two[v]);
#pragma GCC unroll 4
    for (int v = 0; v < wide; ++v) {
      add_wide<T>(c.sums[0] + k + v * lanes<T>, one[v]);
      add_wide<T>(c.sums[1] + k + v * lanes<T>, two[v]);
    }
  });
}

// The variance of columns whose squares leave the range of T, though their elements do not: all in double.
template <class T>
void wide_variance(Columns<T>& c, Matrix<const T> x, const double* mean, double* variance) {
  for (Index k = c.first; k < c.first + c.count; ++k) {
    if (variance[k] < static_cast<double>(__builtin_inf())) continue;
    double sum = 0;
    for (Index row = 0; row < x.rows; ++row) {
      const double d = static_cast<double>(x.data[row * x.stride + k]) - mean[k];
      sum += d * d;
    }
    variance[k] = sum / static_cast<double>(x.rows);
  }
}

// Mean and variance in one pass, by differences from the mean of the first rows; where that is far from the mean of
// all, as behind an outlier, their squares cancel, and a second pass takes them from the mean itself.
template <class T>
GRADWELL_INLINE void moments(Columns<T>& c, Matrix<const T> x, double* mean, double* variance) {
  const double count = static_cast<double>(x.rows);
  const auto pass = [&] {
    c.set_mean(mean);
    sum_down(c, x.rows, [&](Index row, Index k, int n, Pack<T> high, Pack<T> low, Pack<T>& sum, Pack<T>& squares) {
      const Pack<T> d = centred(load_n<T>(x.data + row * x.stride + c.first + k, n), high, low);
      sum += d;
      squares = fma(d, d, squares);
    });
  };
  const Index some = x.rows < sum_rows ? x.rows : sum_rows;
  for (Index k = c.first; k < c.first + c.count; ++k) {
    mean[k] = 0;
    for (Index row = 0; row < some; ++row) mean[k] += static_cast<double>(x.data[row * x.stride + k]);
    mean[k] /= static_cast<double>(some);
  }
  pass();
  bool far = false;
  for (Index k = 0; k < c.count; ++k) {
    const double off = c.sums[0][k] / count;
    mean[c.first + k] = static_cast<double>(c.high[k]) + static_cast<double>(c.low[k]) + off;
    variance[c.first + k] = c.sums[1][k] / count - off * off;
    far = far || off * off > 16 * variance[c.first + k];
  }
  if (far) {
    pass();
    for (Index k = 0; k < c.count; ++k) variance[c.first + k] = c.sums[1][k] / count;
  }
  if (sizeof(T) == 4) wide_variance(c, x, mean, variance);
}

template <class T, class F>
GRADWELL_INLINE void normalise(Columns<T>& c, F f, Matrix<const T> x, const T* gamma, const T* beta, const double* mean,
                               const double* variance, double epsilon, Matrix<T> z, Matrix<T> y) {
  c.set_mean(mean);
  c.set_slope(gamma, variance, epsilon);
  for (Index k = 0; k < c.count; ++k) c.offset[k] = beta ? beta[c.first + k] : T(0);
  const bool past = streams(y);
  for_each_block(c, x.rows, block_rows, true, [&](Index begin, Index end, Index k, auto vectors, int last) {
    constexpr int wide = vectors.value;
    const int n = wide > 1 ? lanes<T> : last;
    const Held<T, wide> high(c.high + k), low(c.low + k), slope(c.slope + k), offset(c.offset + k);
    for (Index row = begin; row < end; ++row)
#pragma GCC unroll 4
      for (int v = 0; v < wide; ++v) {
        const Index at = c.first + k + v * lanes<T>;
        const Pack<T> d = centred(load_n<T>(x.data + row * x.stride + at, n), high.value[v], low.value[v]);
        const Pack<T> value = fma(d, slope.value[v], offset.value[v]);
        if (z.data) store_n<T>(z.data + row * z.stride + at, value, n);
        if (past && wide > 1) {
          stream(y.data + row * y.stride + at, f.value(value));
        } else {
          store_n<T>(y.data + row * y.stride + at, f.value(value), n);
        }
      }
  });
  if (past) stream_fence();
}

template <class T>
void forward(Context context, Matrix<const T> x, const T* gamma, const T* beta, double epsilon, Activation activation,
             Matrix<T> z, Matrix<T> y, double* mean, double* variance) {
  if (x.rows == 0) return;
  with_functor<T>(activation, [&](auto f) {
    over_columns(context, x, [&](Columns<T>& c) {
      moments(c, x, mean, variance);
      normalise(c, f, x, gamma, beta, mean, variance, epsilon, z, y);
    });
  });
}

template <class T>
void inference(Context context, Matrix<const T> x, const T* gamma, const T* beta, const double* mean,
               const double* variance, double epsilon, Activation activation, Matrix<T> z, Matrix<T> y) {
  with_functor<T>(activation, [&](auto f) {
    over_columns(context, x, [&](Columns<T>& c) { normalise(c, f, x, gamma, beta, mean, variance, epsilon, z, y); });
  });
}

template <class T>
void backward(Context context, Matrix<const T> delta, Matrix<const T> x, const T* gamma, const double* mean,
              const double* variance, double epsilon, bool constant, T* dgamma, T* dbeta, Matrix<T> dx) {
  over_columns(context, x, [&](Columns<T>& c) {
    const auto at = [&](const auto& m, Index row, Index k, int n) {
      return load_n<T>(m.data + row * m.stride + c.first + k, n);
    };
    c.set_mean(mean);
    c.set_slope(gamma, variance, epsilon);
    sum_down(c, x.rows, [&](Index row, Index k, int n, Pack<T> high, Pack<T> low, Pack<T>& sum, Pack<T>& products) {
      const Pack<T> d = at(delta, row, k, n);
      sum += d;
      products = fma(d, centred(at(x, row, k, n), high, low), products);
    });
    for (Index k = 0; k < c.count; ++k) {
      const double rstd = reciprocal_deviation(variance[c.first + k], epsilon);
      const double products = c.sums[1][k] * rstd, count = static_cast<double>(x.rows);
      if (dbeta) dbeta[c.first + k] = static_cast<T>(c.sums[0][k]);
      if (dgamma) dgamma[c.first + k] = static_cast<T>(products);
      c.offset[k] = constant ? T(0) : static_cast<T>(c.sums[0][k] / count);
      c.product[k] = constant ? T(0) : static_cast<T>(products * rstd / count);
    }
    if (!dx.data) return;
    const bool past = streams(dx);
    for_each_block(c, x.rows, block_rows, true, [&](Index begin, Index end, Index k, auto vectors, int last) {
      constexpr int wide = vectors.value;
      const int n = wide > 1 ? lanes<T> : last;
      const Held<T, wide> high(c.high + k), low(c.low + k), slope(c.slope + k), offset(c.offset + k);
      const Held<T, wide> product(c.product + k);
      for (Index row = begin; row < end; ++row)
#pragma GCC unroll 4
        for (int v = 0; v < wide; ++v) {
          const Index j = k + v * lanes<T>;
          const Pack<T> d = centred(at(x, row, j, n), high.value[v], low.value[v]);
          const Pack<T> back =
              batchnorm_back(at(delta, row, j, n), d, offset.value[v], product.value[v], slope.value[v]);
          T* const to = dx.data + row * dx.stride + c.first + j;
          if (past && wide > 1) {
            stream(to, back);
          } else {
            store_n<T>(to, back, n);
          }
        }
    });
    if (past) stream_fence();
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

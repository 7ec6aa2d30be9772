#include "gradwell/layernorm.h"

#include "cpu/columns.h"
#include "cpu/level.h"
#include "cpu/parallel.h"
#include "elementwise/activation_functors.h"
#include "elementwise/normal.h"

namespace gradwell {
namespace GRADWELL_LEVEL {
namespace {

constexpr Index element_weight = 8;

// The sum of term(i, n) over a row, vector by vector.
template <class T, class Term>
GRADWELL_INLINE double row_sum(Index columns, Term&& term) {
  alignas(64) double sums[lanes<T>];
  const Index vectors = (columns + lanes<T> - 1) / lanes<T>;
  column_sums<T, 1>(vectors, sums, [&](Index k, int) {
    const Index i = k * lanes<T>;
    return term(i, columns - i < lanes<T> ? static_cast<int>(columns - i) : lanes<T>);
  });
  double sum = 0;
  for (int k = 0; k < lanes<T>; ++k) sum += sums[k];
  return sum;
}

// x^ of one row.
template <class T>
struct Row {
  const T* x;
  Split<T> mean;
  T rstd;
  Row(Matrix<const T> m, Index row, const double* means, const double* variances, double epsilon)
      : x(m.data + row * m.stride),
        mean(split<T>(means[row])),
        rstd(static_cast<T>(reciprocal_deviation(variances[row], epsilon))) {}
  Pack<T> at(Index i, int n) const { return centred(load_n<T>(x + i, n), mean.high, mean.low) * rstd; }
};

template <class T>
GRADWELL_INLINE Pack<T> only(Pack<T> x, int n) {  // zeros behind the end of the row
  alignas(64) T lane[lanes<T>];
  if (n == lanes<T>) return x;
  store(lane, x);
  for (int k = n; k < lanes<T>; ++k) lane[k] = 0;
  return load(lane);
}

template <class T>
void forward(Context context, Matrix<const T> x, const T* gamma, const T* beta, double epsilon, Activation activation,
             Matrix<T> z, Matrix<T> y, double* mean, double* variance) {
  const double count = static_cast<double>(x.columns);
  with_functor<T>(activation, [&](auto f) {
    parallel_for(context, x.rows, x.rows * x.columns * element_weight, [&](Index row) {
      const T* const from = x.data + row * x.stride;
      const Pack<T> first = broadcast(from[0]);
      const double shifted =
          row_sum<T>(x.columns, [&](Index i, int n) { return only<T>(load_n<T>(from + i, n) - first, n); });
      mean[row] = static_cast<double>(from[0]) + shifted / count;
      const Split<T> m = split<T>(mean[row]);
      variance[row] = row_sum<T>(x.columns,
                                 [&](Index i, int n) {
                                   const Pack<T> d = only<T>(centred(load_n<T>(from + i, n), m.high, m.low), n);
                                   return d * d;
                                 }) /
                      count;
      if (!(variance[row] < static_cast<double>(__builtin_inf()))) {  // squares beyond the range of T
        double sum = 0;
        for (Index i = 0; i < x.columns; ++i) {
          const double d = static_cast<double>(from[i]) - mean[row];
          sum += d * d;
        }
        variance[row] = sum / count;
      }
      const Row<T> normal(x, row, mean, variance, epsilon);
      for_each_pack<T>(x.columns, [&](Index i, int n) {
        const Pack<T> scale = gamma ? load_n<T>(gamma + i, n) : broadcast(T(1));
        const Pack<T> value = fma(normal.at(i, n), scale, beta ? load_n<T>(beta + i, n) : Pack<T>{});
        if (z.data) store_n<T>(z.data + row * z.stride + i, value, n);
        store_n<T>(y.data + row * y.stride + i, f.value(value), n);
      });
    });
  });
}

template <class T>
void backward_input(Context context, Matrix<const T> delta, Matrix<const T> x, const T* gamma, const double* mean,
                    const double* variance, double epsilon, Matrix<T> dx) {
  const double count = static_cast<double>(x.columns);
  parallel_for(context, x.rows, x.rows * x.columns * element_weight, [&](Index row) {
    const Row<T> normal(x, row, mean, variance, epsilon);
    const auto g = [&](Index i, int n) {
      const Pack<T> d = load_n<T>(delta.data + row * delta.stride + i, n);
      return gamma ? d * load_n<T>(gamma + i, n) : d;
    };
    const T mean_g = static_cast<T>(row_sum<T>(x.columns, [&](Index i, int n) { return only<T>(g(i, n), n); }) / count);
    const T mean_product = static_cast<T>(
        row_sum<T>(x.columns, [&](Index i, int n) { return only<T>(g(i, n) * normal.at(i, n), n); }) / count);
    for_each_pack<T>(x.columns, [&](Index i, int n) {
      store_n<T>(dx.data + row * dx.stride + i,
                 layernorm_back(g(i, n), normal.at(i, n), mean_g, mean_product, normal.rstd), n);
    });
  });
}

template <class T>
void backward_parameters(Context context, Matrix<const T> delta, Matrix<const T> x, const double* mean,
                         const double* variance, double epsilon, T* dgamma, T* dbeta) {
  const Index tasks = (x.columns + strip_columns<T> - 1) / strip_columns<T>;
  parallel_for(context, tasks, x.rows * x.columns * element_weight, [&](Index task) {
    const Index begin = task * strip_columns<T>;
    const Index end = begin + strip_columns<T> < x.columns ? begin + strip_columns<T> : x.columns;
    for_each_strip<T>(begin, end, [&](Index j, auto vectors, int last) {
      constexpr int count = vectors.value;
      alignas(64) double of_delta[count * lanes<T>], of_product[count * lanes<T>];
      const auto at = [&](Index row, int v) {
        return load_n<T>(delta.data + row * delta.stride + j + v * lanes<T>, count > 1 ? lanes<T> : last);
      };
      column_sums<T, count>(x.rows, of_delta, at);
      column_sums<T, count>(x.rows, of_product, [&](Index row, int v) {
        const Row<T> normal(x, row, mean, variance, epsilon);
        return at(row, v) * normal.at(j + v * lanes<T>, count > 1 ? lanes<T> : last);
      });
      const int columns = (count - 1) * lanes<T> + last;
      for (int k = 0; k < columns; ++k) {
        if (dbeta) dbeta[j + k] = static_cast<T>(of_delta[k]);
        if (dgamma) dgamma[j + k] = static_cast<T>(of_product[k]);
      }
    });
  });
}

}  // namespace

template <class T>
LayerNormKernels<T> layernorm_kernels() {
  return {forward<T>, backward_input<T>, backward_parameters<T>};
}
template LayerNormKernels<float> layernorm_kernels<float>();
template LayerNormKernels<double> layernorm_kernels<double>();

}  // namespace GRADWELL_LEVEL
}  // namespace gradwell

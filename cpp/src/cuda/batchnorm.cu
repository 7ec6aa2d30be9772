#include "cuda/batchnorm.h"

#include "cuda/columns.h"
#include "cuda/level.h"
#include "elementwise/activation_functors.h"
#include "elementwise/normal.h"

namespace gradwell {
namespace cuda {
namespace {

// What is known of a column when its elements are normalised.
template <class T>
struct NormalColumn {
  Split<T> mean;
  T slope, offset;
};

// The elements of columns whose mean and variance are known.
template <class T, class F>
struct Normalise {
  using Sum = Nothing;
  using Item = T;
  F f;
  Matrix<const T> x;
  const T *gamma, *beta;
  const double *mean, *variance;
  double epsilon;
  Matrix<T> z, y;

  __device__ NormalColumn<T> made(Index j, double its_mean, double its_variance) const {
    const double g = gamma ? static_cast<double>(gamma[j]) : 1.0;
    return {split<T>(its_mean), normal_slope<T>(g, its_variance, epsilon), beta ? beta[j] : T(0)};
  }
  __device__ NormalColumn<T> column(Index j, Nothing) const { return made(j, mean[j], variance[j]); }
  __device__ T load(Index i, Index j) const { return x.data[i * x.stride + j]; }
  __device__ void put(Index i, Index j, const NormalColumn<T>& c, T item) const {
    const T value = fma(centred(item, c.mean.high, c.mean.low), c.slope, c.offset);
    if (z.data) z.data[i * z.stride + j] = value;
    y.data[i * y.stride + j] = f.value(value);
  }
};

// Count, mean and squared differences from it (T. Chan, G. Golub, R. LeVeque 1979): no sum of them cancels.
struct Moments {
  double count, mean, squares;
};

template <class T, class F>
struct Forward {
  using Sum = Moments;
  using Before = Nothing;
  using Row = char;
  using Item = T;
  static constexpr bool by_row = false;
  Normalise<T, F> normalise;
  double *mean, *variance;

  GRADWELL_BOTH bool maps() const { return true; }
  __device__ Nothing before(Index) const { return {}; }
  __device__ char row(Index) const { return 0; }
  __device__ T load(Index i, Index j) const { return normalise.load(i, j); }
  // By differences from the first item, so that equal ones have no variance.
  __device__ void add(Moments& sum, const T* items, int count, Nothing, const char*, int) const {
    if (count == 0) return;
    const double first = static_cast<double>(items[0]), n = count;
    double off = 0, squares = 0;
    GRADWELL_UNROLL
    for (int k = 1; k < rows_at_once; ++k)
      if (k < count) off += static_cast<double>(items[k]) - first;
    off /= n;
    GRADWELL_UNROLL
    for (int k = 0; k < rows_at_once; ++k)
      if (k < count) {
        const double d = static_cast<double>(items[k]) - first - off;
        squares = fma(d, d, squares);
      }
    sum = join(sum, {n, first + off, squares});
  }
  static __device__ Moments join(Moments a, Moments b) {
    if (a.count == 0) return b;
    if (b.count == 0) return a;
    const double count = a.count + b.count, share = b.count / count, d = b.mean - a.mean;
    return {count, fma(d, share, a.mean), a.squares + b.squares + d * d * (a.count * share)};
  }
  __device__ void finish(Index j, Moments sum) const {
    mean[j] = sum.mean;
    variance[j] = sum.squares / sum.count;
  }
  __device__ NormalColumn<T> column(Index j, Moments sum) const {
    return normalise.made(j, sum.mean, sum.squares / sum.count);
  }
  __device__ void put(Index i, Index j, const NormalColumn<T>& c, T item) const { normalise.put(i, j, c, item); }
};

template <class T>
struct Back {
  struct Sum {
    double delta, product;
  };
  using Before = double;
  using Row = char;
  struct Item {
    T delta, x;
  };
  struct Column {
    Split<T> mean;
    T slope, offset, product;
  };
  static constexpr bool by_row = false;
  Matrix<const T> delta, x;
  const T* gamma;
  const double *mean, *variance;
  double epsilon;
  bool constant;
  T *dgamma, *dbeta;
  Matrix<T> dx;

  GRADWELL_BOTH bool maps() const { return dx.data != nullptr; }
  __device__ double before(Index j) const { return mean[j]; }
  __device__ char row(Index) const { return 0; }
  __device__ Item load(Index i, Index j) const { return {delta.data[i * delta.stride + j], x.data[i * x.stride + j]}; }
  __device__ void add(Sum& sum, const Item* items, int count, double its_mean, const char*, int) const {
    GRADWELL_UNROLL
    for (int k = 0; k < rows_at_once; ++k)
      if (k < count) {
        const double d = static_cast<double>(items[k].delta);
        sum.delta += d;
        sum.product = fma(d, static_cast<double>(items[k].x) - its_mean, sum.product);
      }
  }
  static __device__ Sum join(Sum a, Sum b) { return {a.delta + b.delta, a.product + b.product}; }
  __device__ void finish(Index j, Sum sum) const {
    if (dbeta) dbeta[j] = static_cast<T>(sum.delta);
    if (dgamma) dgamma[j] = static_cast<T>(sum.product * reciprocal_deviation(variance[j], epsilon));
  }
  __device__ Column column(Index j, Sum sum) const {
    const double g = gamma ? static_cast<double>(gamma[j]) : 1.0, count = static_cast<double>(x.rows);
    const double rstd = reciprocal_deviation(variance[j], epsilon);
    Column c = {split<T>(mean[j]), normal_slope<T>(g, variance[j], epsilon), T(0), T(0)};
    if (constant) return c;
    c.offset = static_cast<T>(sum.delta / count);
    c.product = static_cast<T>(sum.product * rstd * rstd / count);
    return c;
  }
  __device__ void put(Index i, Index j, const Column& c, Item item) const {
    const T d = centred(item.x, c.mean.high, c.mean.low);
    dx.data[i * dx.stride + j] = batchnorm_back(item.delta, d, c.offset, c.product, c.slope);
  }
};

__global__ void commit_moments(const RunState* state, double keep, double population, const double* mean,
                               const double* variance, double* running_mean, double* running_variance, Index columns) {
  const Index j = static_cast<Index>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (j >= columns || !state->goes) return;
  const double take = 1 - keep;
  running_mean[j] = keep * running_mean[j] + take * mean[j];
  running_variance[j] = keep * running_variance[j] + take * population * variance[j];
}

}  // namespace

template <class T>
void batchnorm_forward(Queue& queue, Matrix<const T> x, const T* gamma, const T* beta, double epsilon,
                       Activation activation, Matrix<T> z, Matrix<T> y, double* mean, double* variance) {
  if (x.rows <= 0) return;
  with_functor<T>(activation, [&](auto f) {
    const Normalise<T, decltype(f)> normalise = {f, x, gamma, beta, mean, variance, epsilon, z, y};
    over_columns("batchnorm_forward", queue, x.rows, x.columns, Forward<T, decltype(f)>{normalise, mean, variance});
  });
}

template <class T>
void batchnorm_inference(Queue& queue, Matrix<const T> x, const T* gamma, const T* beta, const double* mean,
                         const double* variance, double epsilon, Activation activation, Matrix<T> z, Matrix<T> y) {
  with_functor<T>(activation, [&](auto f) {
    const Normalise<T, decltype(f)> body = {f, x, gamma, beta, mean, variance, epsilon, z, y};
    for_each_in_columns("batchnorm_inference", queue, x.rows, x.columns, body);
  });
}

template <class T>
void batchnorm_backward(Queue& queue, Matrix<const T> delta, Matrix<const T> x, const T* gamma, const double* mean,
                        const double* variance, double epsilon, bool constant, T* dgamma, T* dbeta, Matrix<T> dx) {
  const Back<T> body = {delta, x, gamma, mean, variance, epsilon, constant, dgamma, dbeta, dx};
  over_columns("batchnorm_backward", queue, x.rows, x.columns, body);
}

void batchnorm_commit(Queue& queue, const RunState* state, Index rows, double momentum, const double* mean,
                      const double* variance, double* running_mean, double* running_variance, Index columns) {
  if (rows < 2) return;
  const double population = static_cast<double>(rows) / static_cast<double>(rows - 1);
  launch("batchnorm_commit", queue, {ceiling(columns, 256)}, commit_moments, state, momentum, population, mean,
         variance, running_mean, running_variance, columns);
}

namespace {

template <class T>
void forward(Context, Matrix<const T> x, const T* gamma, const T* beta, double epsilon, Activation activation,
             Matrix<T> z, Matrix<T> y, double* mean, double* variance) {
  Staging host;
  batchnorm_forward(host.queue(), host.in(x), host.in(gamma, x.columns), host.in(beta, x.columns), epsilon, activation,
                    host.out(z), host.out(y), host.out(mean, x.columns), host.out(variance, x.columns));
  host.finish();
}

template <class T>
void inference(Context, Matrix<const T> x, const T* gamma, const T* beta, const double* mean, const double* variance,
               double epsilon, Activation activation, Matrix<T> z, Matrix<T> y) {
  Staging host;
  batchnorm_inference(host.queue(), host.in(x), host.in(gamma, x.columns), host.in(beta, x.columns),
                      host.in(mean, x.columns), host.in(variance, x.columns), epsilon, activation, host.out(z),
                      host.out(y));
  host.finish();
}

template <class T>
void backward(Context, Matrix<const T> delta, Matrix<const T> x, const T* gamma, const double* mean,
              const double* variance, double epsilon, bool constant, T* dgamma, T* dbeta, Matrix<T> dx) {
  Staging host;
  batchnorm_backward(host.queue(), host.in(delta), host.in(x), host.in(gamma, x.columns), host.in(mean, x.columns),
                     host.in(variance, x.columns), epsilon, constant, host.out(dgamma, x.columns),
                     host.out(dbeta, x.columns), host.out(dx));
  host.finish();
}

}  // namespace

template <class T>
BatchNormKernels<T> batchnorm_kernels() {
  return {forward<T>, inference<T>, backward<T>};
}

#define GRADWELL_INSTANTIATE(T)                                                                                        \
  template void batchnorm_forward(Queue&, Matrix<const T>, const T*, const T*, double, Activation, Matrix<T>,          \
                                  Matrix<T>, double*, double*);                                                        \
  template void batchnorm_inference(Queue&, Matrix<const T>, const T*, const T*, const double*, const double*, double, \
                                    Activation, Matrix<T>, Matrix<T>);                                                 \
  template void batchnorm_backward(Queue&, Matrix<const T>, Matrix<const T>, const T*, const double*, const double*,   \
                                   double, bool, T*, T*, Matrix<T>);                                                   \
  template BatchNormKernels<T> batchnorm_kernels<T>();
GRADWELL_INSTANTIATE(float)
GRADWELL_INSTANTIATE(double)

}  // namespace cuda
}  // namespace gradwell

#include "cuda/layernorm.h"

#include "cuda/columns.h"
#include "cuda/level.h"
#include "elementwise/activation_functors.h"
#include "elementwise/normal.h"

namespace gradwell {
namespace cuda {
namespace {

// A row is the work of a team: a warp, or where it is long a block. Its first elements stay in registers.
constexpr int row_threads = 256, longest_team = 512, held = 8;

inline int team_of(Index columns) {
  return columns <= 32 * held ? 32 : (columns <= row_threads * held ? row_threads : longest_team);
}

struct TeamRow {
  int team, member;
  Index columns;
  double* scratch;

  __device__ double sum(double value) const {
    return team == 32 ? join_warp(value, Plus{}) : join_block(value, Plus{}, 0.0, scratch);
  }
  // Calls body(column, k): k is the element's place among those that are held, -1 behind them.
  template <class Body>
  __device__ void each(Body&& body) const {
    GRADWELL_UNROLL
    for (int k = 0; k < held; ++k)
      if (member + k * team < columns) body(member + k * team, k);
    for (Index j = member + static_cast<Index>(held) * team; j < columns; j += team) body(j, -1);
  }
};

// Calls body(row of x, team) for all rows; every team of a block comes to its barriers.
template <class Body>
__device__ void over_rows(Index rows, Index columns, int team, Body&& body) {
  __shared__ double scratch[32];
  const int teams = static_cast<int>(blockDim.x) / team, mine = static_cast<int>(threadIdx.x) / team;
  const TeamRow at = {team, static_cast<int>(threadIdx.x) % team, columns, scratch};
  for (Index first = static_cast<Index>(blockIdx.x) * teams; first < rows;
       first += static_cast<Index>(gridDim.x) * teams)
    if (first + mine < rows) body(first + mine, at);
}

template <class T, class F>
struct Forward {
  F f;
  Matrix<const T> x;
  const T *gamma, *beta;
  double epsilon;
  Matrix<T> z, y;
  double *mean, *variance;
};

template <class T, class F>
__global__ void __launch_bounds__(longest_team) layernorm_rows(Forward<T, F> p, int team) {
  over_rows(p.x.rows, p.x.columns, team, [&](Index i, const TeamRow& row) {
    const T* const x = p.x.data + i * p.x.stride;
    const double count = static_cast<double>(p.x.columns), first = static_cast<double>(x[0]);
    T values[held];
    double off = 0;
    row.each([&](Index j, int k) {
      const T value = x[j];
      if (k >= 0) values[k] = value;
      off += static_cast<double>(value) - first;
    });
    const double mean = first + row.sum(off) / count;
    double squares = 0;
    row.each([&](Index j, int k) {
      const double d = static_cast<double>(k >= 0 ? values[k] : x[j]) - mean;
      squares = fma(d, d, squares);
    });
    const double variance = row.sum(squares) / count;
    if (row.member == 0) {
      p.mean[i] = mean;
      p.variance[i] = variance;
    }
    const Split<T> m = split<T>(mean);
    const T rstd = static_cast<T>(reciprocal_deviation(variance, p.epsilon));
    row.each([&](Index j, int k) {
      const T normal = centred(k >= 0 ? values[k] : x[j], m.high, m.low) * rstd;
      const T value = fma(normal, p.gamma ? p.gamma[j] : T(1), p.beta ? p.beta[j] : T(0));
      if (p.z.data) p.z.data[i * p.z.stride + j] = value;
      p.y.data[i * p.y.stride + j] = p.f.value(value);
    });
  });
}

template <class T>
struct Back {
  Matrix<const T> delta, x;
  const T* gamma;
  const double *mean, *variance;
  double epsilon;
  Matrix<T> dx;
};

template <class T>
__global__ void __launch_bounds__(longest_team) layernorm_rows_back(Back<T> p, int team) {
  over_rows(p.x.rows, p.x.columns, team, [&](Index i, const TeamRow& row) {
    const T* const x = p.x.data + i * p.x.stride;
    const T* const delta = p.delta.data + i * p.delta.stride;
    const double count = static_cast<double>(p.x.columns);
    const Split<T> m = split<T>(p.mean[i]);
    const T rstd = static_cast<T>(reciprocal_deviation(p.variance[i], p.epsilon));
    const auto normal_of = [&](Index j) { return centred(x[j], m.high, m.low) * rstd; };
    const auto g_of = [&](Index j) { return p.gamma ? delta[j] * p.gamma[j] : delta[j]; };
    T normals[held], gs[held];
    double sum = 0, products = 0;
    row.each([&](Index j, int k) {
      const T g = g_of(j), normal = normal_of(j);
      if (k >= 0) {
        gs[k] = g;
        normals[k] = normal;
      }
      sum += static_cast<double>(g);
      products = fma(static_cast<double>(g), static_cast<double>(normal), products);
    });
    const T mean_g = static_cast<T>(row.sum(sum) / count), mean_product = static_cast<T>(row.sum(products) / count);
    row.each([&](Index j, int k) {
      const T g = k >= 0 ? gs[k] : g_of(j), normal = k >= 0 ? normals[k] : normal_of(j);
      p.dx.data[i * p.dx.stride + j] = layernorm_back(g, normal, mean_g, mean_product, rstd);
    });
  });
}

template <class T>
struct BackParameters {
  struct Sum {
    double delta, product;
  };
  using Before = Nothing;
  struct Row {
    double mean, rstd;
  };
  struct Item {
    T delta, x;
  };
  static constexpr bool by_row = true;
  Matrix<const T> delta, x;
  const double *mean, *variance;
  double epsilon;
  T *dgamma, *dbeta;

  GRADWELL_BOTH bool maps() const { return false; }
  __device__ Nothing before(Index) const { return {}; }
  __device__ Row row(Index i) const { return {mean[i], reciprocal_deviation(variance[i], epsilon)}; }
  __device__ Item load(Index i, Index j) const { return {delta.data[i * delta.stride + j], x.data[i * x.stride + j]}; }
  __device__ void add(Sum& sum, const Item* items, int count, Nothing, const Row* rows, int apart) const {
    GRADWELL_UNROLL
    for (int k = 0; k < rows_at_once; ++k)
      if (k < count) {
        const Row& row = rows[k * apart];
        const double d = static_cast<double>(items[k].delta);
        sum.delta += d;
        sum.product = fma(d, (static_cast<double>(items[k].x) - row.mean) * row.rstd, sum.product);
      }
  }
  static __device__ Sum join(Sum a, Sum b) { return {a.delta + b.delta, a.product + b.product}; }
  __device__ void finish(Index j, Sum sum) const {
    if (dbeta) dbeta[j] = static_cast<T>(sum.delta);
    if (dgamma) dgamma[j] = static_cast<T>(sum.product);
  }
  __device__ Nothing column(Index, Sum) const { return {}; }
  __device__ void put(Index, Index, Nothing, Item) const {}
};

template <class Kernel, class P>
void launch_rows(const char* name, Queue& queue, Index rows, Index columns, Kernel kernel, const P& parameters) {
  if (rows <= 0 || columns <= 0) return;
  const int team = team_of(columns), threads = team < row_threads ? row_threads : team;
  const Index blocks = ceiling(rows, threads / team);
  launch(name, queue, {blocks < most_blocks ? blocks : most_blocks, threads}, kernel, parameters, team);
}

}  // namespace

template <class T>
void layernorm_forward(Queue& queue, Matrix<const T> x, const T* gamma, const T* beta, double epsilon,
                       Activation activation, Matrix<T> z, Matrix<T> y, double* mean, double* variance) {
  with_functor<T>(activation, [&](auto f) {
    const Forward<T, decltype(f)> p = {f, x, gamma, beta, epsilon, z, y, mean, variance};
    launch_rows("layernorm_forward", queue, x.rows, x.columns, layernorm_rows<T, decltype(f)>, p);
  });
}

template <class T>
void layernorm_backward_input(Queue& queue, Matrix<const T> delta, Matrix<const T> x, const T* gamma,
                              const double* mean, const double* variance, double epsilon, Matrix<T> dx) {
  const Back<T> p = {delta, x, gamma, mean, variance, epsilon, dx};
  launch_rows("layernorm_backward_input", queue, x.rows, x.columns, layernorm_rows_back<T>, p);
}

template <class T>
void layernorm_backward_parameters(Queue& queue, Matrix<const T> delta, Matrix<const T> x, const double* mean,
                                   const double* variance, double epsilon, T* dgamma, T* dbeta) {
  if (!dgamma && !dbeta) return;
  const BackParameters<T> body = {delta, x, mean, variance, epsilon, dgamma, dbeta};
  over_columns("layernorm_backward_parameters", queue, x.rows, x.columns, body);
}

namespace {

template <class T>
void forward(Context, Matrix<const T> x, const T* gamma, const T* beta, double epsilon, Activation activation,
             Matrix<T> z, Matrix<T> y, double* mean, double* variance) {
  Staging host;
  layernorm_forward(host.queue(), host.in(x), host.in(gamma, x.columns), host.in(beta, x.columns), epsilon, activation,
                    host.out(z), host.out(y), host.out(mean, x.rows), host.out(variance, x.rows));
  host.finish();
}

template <class T>
void backward_input(Context, Matrix<const T> delta, Matrix<const T> x, const T* gamma, const double* mean,
                    const double* variance, double epsilon, Matrix<T> dx) {
  Staging host;
  layernorm_backward_input(host.queue(), host.in(delta), host.in(x), host.in(gamma, x.columns), host.in(mean, x.rows),
                           host.in(variance, x.rows), epsilon, host.out(dx));
  host.finish();
}

template <class T>
void backward_parameters(Context, Matrix<const T> delta, Matrix<const T> x, const double* mean, const double* variance,
                         double epsilon, T* dgamma, T* dbeta) {
  Staging host;
  layernorm_backward_parameters(host.queue(), host.in(delta), host.in(x), host.in(mean, x.rows),
                                host.in(variance, x.rows), epsilon, host.out(dgamma, x.columns),
                                host.out(dbeta, x.columns));
  host.finish();
}

}  // namespace

template <class T>
LayerNormKernels<T> layernorm_kernels() {
  return {forward<T>, backward_input<T>, backward_parameters<T>};
}

#define GRADWELL_INSTANTIATE(T)                                                                                       \
  template void layernorm_forward(Queue&, Matrix<const T>, const T*, const T*, double, Activation, Matrix<T>,         \
                                  Matrix<T>, double*, double*);                                                       \
  template void layernorm_backward_input(Queue&, Matrix<const T>, Matrix<const T>, const T*, const double*,           \
                                         const double*, double, Matrix<T>);                                           \
  template void layernorm_backward_parameters(Queue&, Matrix<const T>, Matrix<const T>, const double*, const double*, \
                                              double, T*, T*);                                                        \
  template LayerNormKernels<T> layernorm_kernels<T>();
GRADWELL_INSTANTIATE(float)
GRADWELL_INSTANTIATE(double)

}  // namespace cuda
}  // namespace gradwell

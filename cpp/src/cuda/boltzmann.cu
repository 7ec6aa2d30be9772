#include "cuda/boltzmann.h"

#include "cuda/boltzmann_draws.h"
#include "cuda/level.h"
#include "cuda/product.h"
#include "cuda/rows.h"
#include "elementwise/sgd_rule.h"

namespace gradwell {
namespace cuda {
namespace {

// Columns up to v's are visible units, those behind them hidden ones.
template <class T>
struct FreeEnergy {
  Matrix<const T> v, z;
  const T* visible_bias;
  UnitKind kind;
  double* energy;
  __device__ double operator()(Index i, Index j) const {
    if (j >= v.columns) return -static_cast<double>(softplus<T>(z.data[i * z.stride + j - v.columns]));
    const T value = v.data[i * v.stride + j], a = visible_bias[j];
    return static_cast<double>(kind == UnitKind::binary ? -(value * a) : T(0.5) * (value - a) * (value - a));
  }
  __device__ void done(Index i, double sum) const { energy[i] = sum; }
};

template <class T>
struct SquaredDistance {
  Matrix<const T> a, b;
  double* errors;
  __device__ double operator()(Index i, Index j) const {
    const T d = a.data[i * a.stride + j] - b.data[i * b.stride + j];
    return static_cast<double>(d * d);
  }
  __device__ void done(Index i, double sum) const { errors[i] = sum; }
};

constexpr int turning_threads = 512;
constexpr std::size_t most_kept_bytes = 48 * 1024;

// A block takes a row, a warp a visible unit that is turned over. softplus of what is there now is made once, where a
// block's memory holds a row of it.
template <class T>
__global__ void __launch_bounds__(turning_threads)
    turn_over(Matrix<const T> v, Matrix<const T> weight, const T* visible_bias, Matrix<const T> z, bool keeps,
              double* sums) {
  __shared__ double scratch[32];
  T* const kept = shared_memory<T>();
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  for (Index row = blockIdx.x; row < v.rows; row += gridDim.x) {
    const T* const input = z.data + row * z.stride;
    if (keeps)
      for (Index j = threadIdx.x; j < z.columns; j += turning_threads) kept[j] = softplus<T>(input[j]);
    __syncthreads();
    double total = 0;
    for (Index i = warp; i < v.columns; i += turning_threads / 32) {
      const T turn = T(1) - T(2) * v.data[row * v.stride + i];
      const T* const w = weight.data + i * weight.stride;
      double gained = 0;
      for (Index j = lane; j < z.columns; j += 32) {
        const T now = input[j], after = fma(turn, w[j], now);
        gained += static_cast<double>(softplus<T>(after) - (keeps ? kept[j] : softplus<T>(now)));
      }
      gained = join_warp(gained, Plus{});
      const double rise = -static_cast<double>(turn) * static_cast<double>(visible_bias[i]) - gained;
      if (lane == 0) total -= softplus<double>(-rise);
    }
    total = join_block(total, Plus{}, 0.0, scratch);
    if (threadIdx.x == 0) sums[row] = total;
  }
}

template <class T>
struct Contrast {
  SgdRule<T> up, down;
  T decay;
  Matrix<const T> of_data, of_model, old_velocity, old_weight;
  Matrix<T> velocity, weight;
  template <class At>
  __device__ void operator()(At at) const {
    const auto plus = at.load(of_data), minus = at.load(of_model);
    auto speed = at.load(old_velocity), w = at.load(old_weight);
    for (int k = 0; k < At::count; ++k) {
      const T moved = down(up(speed.value[k], plus.value[k]), minus.value[k]);
      speed.value[k] = fma(decay, w.value[k], moved);
      w.value[k] += speed.value[k];
    }
    at.store(velocity, speed);
    at.store(weight, w);
  }
};

}  // namespace

template <class T>
void boltzmann_conditional(Queue& queue, Matrix<const T> x, Matrix<const T> weight, bool transposed, const T* bias,
                           UnitKind kind, DrawKey key, Index first_row, Matrix<T> mean, Matrix<T> sample) {
  Factors factors;
  factors.right_transposed = transposed;
  multiply(queue, factors, x, weight, mean);
  const bool in_fours = rows_in_fours(mean) && rows_in_fours(sample) && at_sixteen(bias);
  for_each_element("boltzmann_conditional", queue, mean.rows, ceiling(mean.columns, 4),
                   MeanAndDraw<T>{bias, kind, key, first_row, mean, sample, in_fours});
}

template <class T>
void boltzmann_free_energy(Queue& queue, Matrix<const T> v, Matrix<const T> weight, const T* visible_bias,
                           const T* hidden_bias, UnitKind kind, Matrix<T> z, double* energy) {
  multiply(queue, {}, v, weight, z, hidden_bias);
  sum_each_row("boltzmann_free_energy", queue, v.rows, v.columns + z.columns,
               FreeEnergy<T>{v, as_read(z), visible_bias, kind, energy});
}

template <class T>
void boltzmann_pseudo_likelihood(Queue& queue, Matrix<const T> v, Matrix<const T> weight, const T* visible_bias,
                                 Matrix<const T> z, double* sums) {
  const std::size_t bytes = static_cast<std::size_t>(z.columns) * sizeof(T);
  const bool keeps = bytes <= most_kept_bytes - 32 * sizeof(double);
  const Index blocks = v.rows < most_blocks ? v.rows : most_blocks;
  launch("boltzmann_pseudo_likelihood", queue, {blocks, turning_threads, keeps ? bytes : 0}, turn_over<T>, v, weight,
         visible_bias, z, keeps, sums);
}

template <class T>
void boltzmann_update(Queue& queue, Matrix<const T> v_data, Matrix<const T> h_data, Matrix<const T> v_model,
                      Matrix<const T> h_model, BoltzmannStep step, Matrix<T> of_data, Matrix<T> of_model,
                      Matrix<T> velocity, Matrix<T> weight) {
  Factors factors;
  factors.left_transposed = true;
  multiply(queue, factors, v_data, h_data, of_data);
  multiply(queue, factors, v_model, h_model, of_model);
  const SgdRule<T> up = {static_cast<T>(step.momentum), static_cast<T>(step.positive)};
  const SgdRule<T> down = {T(1), static_cast<T>(-step.negative)};
  const Contrast<T> body = {up,
                            down,
                            static_cast<T>(-step.decay),
                            as_read(of_data),
                            as_read(of_model),
                            as_read(velocity),
                            as_read(weight),
                            velocity,
                            weight};
  for_each_four("boltzmann_update", queue, weight.rows, weight.columns, body, of_data, of_model, velocity, weight);
}

template <class T>
void squared_distance(Queue& queue, Matrix<const T> a, Matrix<const T> b, double* errors) {
  sum_each_row("squared_distance", queue, a.rows, a.columns, SquaredDistance<T>{a, b, errors});
}

namespace {

template <class T>
void conditional(Context, Matrix<const T> x, Matrix<const T> weight, bool transposed, const T* bias, UnitKind kind,
                 DrawKey key, Index first_row, Matrix<T> mean, Matrix<T> sample) {
  Staging host;
  boltzmann_conditional(host.queue(), host.in(x), host.in(weight), transposed, host.in(bias, mean.columns), kind, key,
                        first_row, host.out(mean), host.out(sample));
  host.finish();
}

template <class T>
void free_energy(Context, Matrix<const T> v, Matrix<const T> weight, const T* visible_bias, const T* hidden_bias,
                 UnitKind kind, Matrix<T> z, double* energy) {
  Staging host;
  boltzmann_free_energy(host.queue(), host.in(v), host.in(weight), host.in(visible_bias, v.columns),
                        host.in(hidden_bias, z.columns), kind, host.out(z), host.out(energy, v.rows));
  host.finish();
}

template <class T>
void pseudo_likelihood(Context, Matrix<const T> v, Matrix<const T> weight, const T* visible_bias, Matrix<const T> z,
                       double* sums) {
  Staging host;
  boltzmann_pseudo_likelihood(host.queue(), host.in(v), host.in(weight), host.in(visible_bias, v.columns), host.in(z),
                              host.out(sums, v.rows));
  host.finish();
}

template <class T>
void update(Context, Matrix<const T> v_data, Matrix<const T> h_data, Matrix<const T> v_model, Matrix<const T> h_model,
            BoltzmannStep step, Matrix<T> velocity, Matrix<T> weight) {
  Staging host;
  const auto scratch = [&] {
    const Index rows = weight.rows, columns = weight.columns;
    return Matrix<T>{host.scratch<T>(rows * columns), rows, columns, columns};
  };
  boltzmann_update(host.queue(), host.in(v_data), host.in(h_data), host.in(v_model), host.in(h_model), step, scratch(),
                   scratch(), host.out(velocity), host.out(weight));
  host.finish();
}

template <class T>
void squared_distance(Context, Matrix<const T> a, Matrix<const T> b, double* errors) {
  Staging host;
  cuda::squared_distance(host.queue(), host.in(a), host.in(b), host.out(errors, a.rows));
  host.finish();
}

}  // namespace

template <class T>
BoltzmannKernels<T> boltzmann_kernels() {
  return {conditional<T>, free_energy<T>, pseudo_likelihood<T>, update<T>, squared_distance<T>};
}

#define GRADWELL_INSTANTIATE(T)                                                                                    \
  template void boltzmann_conditional(Queue&, Matrix<const T>, Matrix<const T>, bool, const T*, UnitKind, DrawKey, \
                                      Index, Matrix<T>, Matrix<T>);                                                \
  template void boltzmann_free_energy(Queue&, Matrix<const T>, Matrix<const T>, const T*, const T*, UnitKind,      \
                                      Matrix<T>, double*);                                                         \
  template void boltzmann_pseudo_likelihood(Queue&, Matrix<const T>, Matrix<const T>, const T*, Matrix<const T>,   \
                                            double*);                                                              \
  template void boltzmann_update(Queue&, Matrix<const T>, Matrix<const T>, Matrix<const T>, Matrix<const T>,       \
                                 BoltzmannStep, Matrix<T>, Matrix<T>, Matrix<T>, Matrix<T>);                       \
  template void squared_distance(Queue&, Matrix<const T>, Matrix<const T>, double*);                               \
  template BoltzmannKernels<T> boltzmann_kernels<T>();
GRADWELL_INSTANTIATE(float)
GRADWELL_INSTANTIATE(double)

}  // namespace cuda
}  // namespace gradwell

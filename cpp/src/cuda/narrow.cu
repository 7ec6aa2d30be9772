#include "cuda/narrow.h"

#include <algorithm>

#include "cuda/launch.h"
#include "elementwise/activation_functors.h"
#include "elementwise/optimizer_rules.h"

namespace gradwell {
namespace cuda {
namespace {

constexpr int threads = 256, warps = threads / 32;
constexpr int tile = 32;

// Two sets of rows, and the parts of sums.
constexpr Index shared_numbers(Index widest) {
  return 2 * narrow_rows * widest + warps * narrow_rows * narrow_width;
}

template <class T>
__device__ T activated(Activation activation, T z) {
  T y = z;
  with_functor<T>(activation, [&](auto f) { y = f.value(z); });
  return y;
}
template <class T>
__device__ T slope_at(Activation activation, T y) {
  T slope = 1;
  with_functor<T>(activation, [&](auto f) { slope = derivative_of<T>(f, y, true, 0); });
  return slope;
}

// Rows that this block takes, and where in shared memory they are.
template <class T>
struct Block {
  Index first;
  int rows;
  Index widest;
  T *now, *next, *sums;
  __device__ Block(Index batch, Index width)
      : first(static_cast<Index>(blockIdx.x) * narrow_rows),
        rows(static_cast<int>(batch - first < narrow_rows ? batch - first : narrow_rows)),
        widest(width),
        now(shared_memory<T>()),
        next(now + narrow_rows * width),
        sums(next + narrow_rows * width) {}
  __device__ void swap() {
    T* const other = now;
    now = next;
    next = other;
  }
};

// A thread makes a part of the sum of one column for all rows of the block; parts are added in their order.
template <class T>
__global__ void forward_rows(const NarrowLayer<T>* layers, int count, const T* parameters, Matrix<const T> x,
                             Index widest) {
  Block<T> b(x.rows, widest);
  const int tid = static_cast<int>(threadIdx.x);
  for (Index k = tid; k < narrow_rows * x.columns; k += threads) {
    const Index r = k / x.columns, i = k % x.columns;
    b.now[r * widest + i] = r < b.rows ? x.data[(b.first + r) * x.stride + i] : T(0);
  }
  __syncthreads();
  for (int l = 0; l < count; ++l) {
    const NarrowLayer<T> layer = layers[l];
    const int outputs = static_cast<int>(layer.outputs), inputs = static_cast<int>(layer.inputs);
    const int columns = (outputs + 31) / 32 * 32, groups = threads / columns;
    const int group = tid / columns, j = tid % columns;
    if (group < groups && j < outputs) {
      T sum[narrow_rows] = {};
      const T* const weight = parameters + layer.weight + j;
      for (int k = group; k < inputs; k += groups) {
        const T w = weight[k * outputs];
        for (int r = 0; r < narrow_rows; ++r) sum[r] = fma(b.now[r * widest + k], w, sum[r]);
      }
      for (int r = 0; r < narrow_rows; ++r) b.sums[(group * narrow_rows + r) * narrow_width + j] = sum[r];
    }
    __syncthreads();
    for (int k = tid; k < narrow_rows * outputs; k += threads) {
      const int r = k / outputs, column = k % outputs;
      T z = b.sums[r * narrow_width + column];
      for (int g = 1; g < groups; ++g) z += b.sums[(g * narrow_rows + r) * narrow_width + column];
      if (layer.bias >= 0) z += parameters[layer.bias + column];
      const T y = activated<T>(layer.activation, z);
      b.next[r * widest + column] = y;
      if (r < b.rows) layer.y[(b.first + r) * outputs + column] = y;
    }
    __syncthreads();
    b.swap();
  }
}

// The larger magnitude, NaN above all: as bits they are ordered so.
__device__ unsigned long long size_bits(double value) {
  return static_cast<unsigned long long>(bits_of(magnitude<double>(value)));
}
__device__ void keep_largest(unsigned long long* to, unsigned long long bits) {
  for (int mask = 16; mask > 0; mask /= 2) {
    const unsigned long long other = __shfl_xor_sync(0xffffffffu, bits, mask);
    if (other > bits) bits = other;
  }
  if (threadIdx.x % 32 == 0) atomicMax(to, bits);
}

template <class T>
__global__ void backward_rows(const NarrowLayer<T>* layers, int count, const T* parameters, Matrix<const T> x,
                              Index widest, unsigned long long* largest) {
  Block<T> b(x.rows, widest);
  const int tid = static_cast<int>(threadIdx.x), lane = tid % 32, warp = tid / 32;
  const NarrowLayer<T> last = layers[count - 1];
  for (Index k = tid; k < narrow_rows * last.outputs; k += threads) {
    const Index r = k / last.outputs, j = k % last.outputs;
    b.now[r * widest + j] = r < b.rows ? last.error[(b.first + r) * last.outputs + j] : T(0);
  }
  __syncthreads();
  for (int l = count - 1; l >= 0; --l) {
    const NarrowLayer<T> layer = layers[l];
    const int outputs = static_cast<int>(layer.outputs), inputs = static_cast<int>(layer.inputs);
    unsigned long long most = 0, most_input = 0;
    for (int k = tid; k < narrow_rows * outputs; k += threads) {
      const int r = k / outputs, j = k % outputs;
      if (r >= b.rows) continue;
      const Index at = (b.first + r) * outputs + j;
      if (layer.output_gradient) layer.output_gradient[at] = b.now[r * widest + j];
      const T delta = b.now[r * widest + j] * slope_at<T>(layer.activation, layer.y[at]);
      b.now[r * widest + j] = delta;
      layer.error[at] = delta;
      const unsigned long long bits = size_bits(static_cast<double>(delta));
      most = bits > most ? bits : most;
    }
    const Matrix<const T> input = l > 0 ? Matrix<const T>{layers[l - 1].y, x.rows, inputs, inputs} : x;
    for (Index k = tid; k < b.rows * input.columns; k += threads) {
      const Index r = k / input.columns, i = k % input.columns;
      const unsigned long long bits = size_bits(static_cast<double>(input.data[(b.first + r) * input.stride + i]));
      most_input = bits > most_input ? bits : most_input;
    }
    keep_largest(largest + 2 * l, most_input);
    keep_largest(largest + 2 * l + 1, most);
    __syncthreads();
    if (l == 0) break;
    for (int i = warp; i < inputs; i += warps) {
      T sum[narrow_rows] = {};
      const T* const weight = parameters + layer.weight + static_cast<Index>(i) * outputs;
      for (int j = lane; j < outputs; j += 32) {
        const T w = weight[j];
        for (int r = 0; r < narrow_rows; ++r) sum[r] = fma(b.now[r * widest + j], w, sum[r]);
      }
      for (int r = 0; r < narrow_rows; ++r) {
        const T whole = join_warp(sum[r], Plus{});
        if (lane == 0) b.next[r * widest + i] = whole;
      }
    }
    __syncthreads();
    b.swap();
  }
}

template <class T>
__global__ void join_bounds(const unsigned long long* largest, int count, Index rows, double* bound) {
  if (threadIdx.x > 0) return;
  double most = 0;
  for (int l = 0; l < count; ++l) {
    const double input = from_bits(static_cast<std::int64_t>(largest[2 * l]));
    const double error = from_bits(static_cast<std::int64_t>(largest[2 * l + 1]));
    // 1 is what a bias is multiplied by; a NaN stays.
    const double product = (input < 1 ? 1.0 : input) * error * static_cast<double>(rows);
    if (!(product <= most)) most = product;
    if (most != most) break;
  }
  *bound = most;
}

template <class T, class Rule>
__device__ StepNorms step_by(const Rule& rule, T gradient, T* parameter, gradwell::StepState<T> states, Index at) {
  T state[2] = {};
  for (int k = 0; k < Rule::states; ++k) state[k] = states.state[k][at];
  const T before = *parameter, after = rule(before, gradient, state);
  for (int k = 0; k < Rule::states; ++k) states.state[k][at] = state[k];
  *parameter = after;
  const double moved = static_cast<double>(after) - static_cast<double>(before), size = static_cast<double>(before);
  return {moved * moved, size * size};
}

// A block makes the gradient of 32 x 32 numbers of a weight, or of 32 of a bias, and steps by it.
template <class T, class Rule>
__global__ void update_tiles(const NarrowLayer<T>* layers, const NarrowTile* tiles, StepRule base,
                             const SliceRule* slice_rules, const RunState* state, Matrix<const T> x, T* parameters,
                             gradwell::StepState<T> states, T* gradients, StepNorms* norms) {
  __shared__ T inputs[tile][tile + 1];
  __shared__ T errors[tile][tile + 1];
  __shared__ double scratch[32];
  const bool goes = state->goes != 0;
  if (!goes && !gradients) return;
  const NarrowTile where = tiles[blockIdx.x];
  const NarrowLayer<T> layer = layers[where.layer];
  const int lane = static_cast<int>(threadIdx.x) % tile, warp = static_cast<int>(threadIdx.x) / tile;
  const Matrix<const T> input =
      where.layer > 0 ? Matrix<const T>{layers[where.layer - 1].y, x.rows, layer.inputs, layer.inputs} : x;
  constexpr int each = tile / warps;
  T gradient[each] = {};
  const bool bias = where.row < 0;
  for (Index first = 0; first < x.rows; first += tile) {
    for (int r = warp; r < tile; r += warps) {
      const Index row = first + r, i = where.row + lane, j = where.column + lane;
      T value = 0;
      if (row < x.rows && bias) value = 1;
      if (row < x.rows && !bias && i < layer.inputs) value = input.data[row * input.stride + i];
      inputs[r][lane] = value;
      errors[r][lane] = row < x.rows && j < layer.outputs ? layer.error[row * layer.outputs + j] : T(0);
    }
    __syncthreads();
    for (int r = 0; r < tile; ++r)
      for (int e = 0; e < each; ++e) gradient[e] = fma(inputs[r][warp + e * warps], errors[r][lane], gradient[e]);
    __syncthreads();
  }
  StepRule own = base;
  own.learning_rate = state->learning_rate;
  own.correction1 = state->correction1;
  own.correction2 = state->correction2;
  own.weight_decay = slice_rules[where.slice].weight_decay;
  own.l2 = slice_rules[where.slice].l2;
  own.l1 = slice_rules[where.slice].l1;
  const Rule rule(own);
  StepNorms sums = {0, 0};
  const Index j = where.column + lane;
  for (int e = 0; e < each; ++e) {
    const Index i = where.row + warp + e * warps;
    if (j >= layer.outputs || (bias ? warp + e > 0 : i >= layer.inputs)) continue;
    const Index at = bias ? layer.bias + j : layer.weight + i * layer.outputs + j;
    if (gradients) gradients[at] = gradient[e];
    if (!goes) continue;
    const StepNorms one = step_by<T>(rule, gradient[e], parameters + at, states, at);
    sums.step += one.step;
    sums.parameter += one.parameter;
  }
  if (!norms) return;
  const double step = join_block(sums.step, Plus{}, 0.0, scratch);
  const double parameter = join_block(sums.parameter, Plus{}, 0.0, scratch);
  if (threadIdx.x == 0) norms[blockIdx.x] = {step, parameter};
}

__global__ void join_tiles(const StepNorms* tiles, const Index* first, Index slices, StepNorms* norms) {
  const Index slice = static_cast<Index>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (slice >= slices) return;
  StepNorms sum = {0, 0};
  for (Index k = first[slice]; k < first[slice + 1]; ++k) {
    sum.step += tiles[k].step;
    sum.parameter += tiles[k].parameter;
  }
  norms[slice] = sum;
}

}  // namespace

template <class T>
bool is_narrow(const NetworkPlan& plan, Index shared_bytes) {
  if (plan.output_steps != 1 || shared_numbers(std::max(plan.inputs, narrow_width)) * Index{sizeof(T)} > shared_bytes)
    return false;
  for (std::size_t i = 0; i < plan.stages.size(); ++i) {
    const StagePlan& s = plan.stages[i];
    if (s.kind != StageKind::dense || s.steps != 1 || s.from != static_cast<int>(i) - 1 || s.skip != -2 || s.adds ||
        s.outputs > narrow_width || s.slope >= 0 || !derivative_from_output(s.activation.kind))
      return false;
  }
  for (const Slice& slice : plan.slices)
    if (slice.constraint != Constraint::none) return false;
  return true;
}

template <class T>
NarrowChain<T>::NarrowChain(Queue& queue, const NetworkPlan& plan)
    : inputs_(plan.inputs), count_(static_cast<Index>(plan.stages.size())) {
  widest_ = std::max(plan.inputs, narrow_width);
  std::vector<NarrowTile> all;
  std::vector<Index> first;
  for (std::size_t k = 0; k < plan.slices.size(); ++k) {
    const Slice& slice = plan.slices[k];
    first.push_back(static_cast<Index>(all.size()));
    for (Index column = 0; column < slice.columns; column += tile) {
      if (slice.rows == 0) all.push_back({slice.stage, static_cast<int>(k), -1, column});
      for (Index row = 0; row < slice.rows; row += tile) all.push_back({slice.stage, static_cast<int>(k), row, column});
    }
  }
  first.push_back(static_cast<Index>(all.size()));
  tiles_ = DeviceBlock<NarrowTile>(queue, first.back());
  tile_norms_ = DeviceBlock<StepNorms>(queue, first.back());
  first_tile_ = DeviceBlock<Index>(queue, static_cast<Index>(first.size()));
  copy(queue, tiles_.data(), static_cast<const NarrowTile*>(all.data()), tiles_.size());
  copy(queue, first_tile_.data(), static_cast<const Index*>(first.data()), first_tile_.size());
  layers_ = DeviceBlock<NarrowLayer<T>>(queue, count_);
  recorded_layers_ = DeviceBlock<NarrowLayer<T>>(queue, count_);
  largest_ = DeviceBlock<unsigned long long>(queue, 2 * count_);
  bound_ = DeviceBlock<double>(queue, 1);
  queue.wait();
}

template <class T>
void NarrowChain<T>::bind(Queue& queue, std::vector<NarrowLayer<T>> layers, Index rows) {
  Index numbers = 0;
  for (const auto& layer : layers) numbers += rows * layer.outputs;
  output_gradients_ = {};
  output_gradients_ = DeviceBlock<T>(queue, numbers);
  copy(queue, layers_.data(), static_cast<const NarrowLayer<T>*>(layers.data()), count_);
  T* next = output_gradients_.data();
  for (auto& layer : layers) {
    layer.output_gradient = next;
    next += rows * layer.outputs;
  }
  copy(queue, recorded_layers_.data(), static_cast<const NarrowLayer<T>*>(layers.data()), count_);
  queue.wait();
  known_ = std::move(layers);
}

template <class T>
Matrix<const T> NarrowChain<T>::output_gradient(std::size_t layer, Index rows) const {
  return {known_[layer].output_gradient, rows, known_[layer].outputs, known_[layer].outputs};
}

template <class T>
std::size_t NarrowChain<T>::shared_bytes() const {
  return static_cast<std::size_t>(shared_numbers(widest_)) * sizeof(T);
}

template <class T>
void NarrowChain<T>::forward(Queue& queue, const T* parameters, Matrix<const T> x) {
  launch("narrow_forward", queue, {ceiling(x.rows, narrow_rows), threads, shared_bytes()}, forward_rows<T>,
         layers_.data(), static_cast<int>(count_), parameters, x, widest_);
}

template <class T>
void NarrowChain<T>::backward(Queue& queue, const T* parameters, Matrix<const T> x, bool records) {
  check_cuda(cudaMemsetAsync(largest_.data(), 0, static_cast<std::size_t>(2 * count_) * sizeof(unsigned long long),
                             queue.stream()),
             "cudaMemsetAsync");
  launch("narrow_backward", queue, {ceiling(x.rows, narrow_rows), threads, shared_bytes()}, backward_rows<T>,
         records ? recorded_layers_.data() : layers_.data(), static_cast<int>(count_), parameters, x, widest_,
         largest_.data());
  launch("narrow_bound", queue, {1, 32}, join_bounds<T>, largest_.data(), static_cast<int>(count_), x.rows,
         bound_.data());
}

template <class T>
void NarrowChain<T>::update(Queue& queue, const StepRule& rule, const SliceRule* rules, const RunState* state,
                            Matrix<const T> x, T* parameters, gradwell::StepState<T> states, Recorded recorded) {
  StepNorms* const norms = recorded.norms ? tile_norms_.data() : nullptr;
  with_rule<T>(rule, [&](auto chosen) {
    launch("narrow_update", queue, {tiles_.size(), threads}, update_tiles<T, decltype(chosen)>, layers_.data(),
           tiles_.data(), rule, rules, state, x, parameters, states, recorded.gradients, norms);
  });
  const Index slices = first_tile_.size() - 1;
  if (norms)
    launch("narrow_norms", queue, {ceiling(slices, threads), threads}, join_tiles, tile_norms_.data(),
           first_tile_.data(), slices, recorded.norms);
}

template bool is_narrow<float>(const NetworkPlan&, Index);
template bool is_narrow<double>(const NetworkPlan&, Index);
template class NarrowChain<float>;
template class NarrowChain<double>;

}  // namespace cuda
}  // namespace gradwell

#include "cuda/loss.h"

#include "cuda/level.h"
#include "cuda/loss_rows.h"

namespace gradwell {
namespace cuda {
namespace {

template <class T>
struct LossRows {
  Matrix<const T> outputs;
  Targets<T> targets;
  Index whole;
  const Index* lengths;
  Index steps;
  const Index* counted;
  Matrix<T> d;
  double* costs;

  __device__ T scale() const { return static_cast<T>(1.0 / static_cast<double>(counted ? *counted : whole)); }
  __device__ bool takes_part(Index i) const { return !lengths || i % steps < lengths[i / steps]; }
  __device__ Row<T> row(Index i, Index columns, T scale) const {
    return {outputs.data + i * outputs.stride,
            targets.classes ? nullptr : targets.values.data + i * targets.values.stride,
            targets.classes ? targets.classes[i] : -1,
            columns,
            scale,
            d.data ? d.data + i * d.stride : nullptr};
  }
};

// Of a block; an exponential of double takes too many registers for more.
template <class T, int size>
constexpr int most_threads = sizeof(T) == 8 && size <= 256 ? 512 : 1024;

// A block that is alone leaves the sum and the count; others count on, and sum_costs adds up.
template <class T, class Kind, int size>
__global__ void __launch_bounds__(most_threads<T, size>)
    evaluate_rows(Kind kind, LossRows<T> rows, bool alone, double* sum, unsigned long long* correct) {
  __shared__ double sums[32];
  __shared__ int counts[32];
  using Threads = RowThreads<size>;
  const Threads threads;
  const Index count = rows.outputs.rows;
  const T scale = rows.scale();
  double costs = 0;
  int found = 0;
  for (Index first = static_cast<Index>(blockIdx.x) * Threads::rows_here(); first < count;
       first += static_cast<Index>(gridDim.x) * Threads::rows_here()) {
    const Index i = first + Threads::row_here();
    const bool takes_part = i < count && rows.takes_part(i);
    const Row<T> row = rows.row(i < count ? i : 0, takes_part ? rows.outputs.columns : 0, scale);
    const Largest<T> largest = find_largest(threads, row.a, row.columns);
    const bool right = is_correct(threads, row, largest);
    const double cost = kind(threads, row, largest.value);
    if (i >= count) continue;
    if (Threads::rank() == 0) {
      rows.costs[i] = takes_part ? cost : 0.0;
      costs += rows.costs[i];
      found += takes_part && right;
    }
    if (!takes_part && row.d)
      for (Index j = Threads::rank(); j < rows.outputs.columns; j += size) row.d[j] = 0;
  }
  found = join_block(found, Plus{}, 0, counts);
  if (alone) costs = join_block(costs, Plus{}, 0.0, sums);
  if (threadIdx.x > 0) return;
  if (alone) {
    *correct = static_cast<unsigned long long>(found);
    if (sum) *sum = costs;
  } else if (found > 0) {
    atomicAdd(correct, static_cast<unsigned long long>(found));
  }
}

constexpr int sum_threads = 1024;

__global__ void __launch_bounds__(sum_threads) sum_costs(const double* costs, Index count, double* sum) {
  __shared__ double scratch[32];
  double total = 0;
  GRADWELL_UNROLL_BY(8)
  for (Index i = threadIdx.x; i < count; i += sum_threads) total += costs[i];
  total = join_block(total, Plus{}, 0.0, scratch);
  if (threadIdx.x == 0) *sum = total;
}

// Few rows go to one block: its results need no second kernel.
template <class T, class Kind>
void evaluate_each(Queue& queue, Kind kind, LossRows<T> rows, double* sum, unsigned long long* correct) {
  const Index count = rows.outputs.rows;
  with_row_threads(rows.outputs.columns, [&](auto threads) {
    constexpr int size = decltype(threads)::count;
    const bool alone = count == 1 || (size <= 32 && count > 0 && count <= 2048 / size);
    Grid grid = grid_of_rows(count, threads);
    if (alone) {
      grid.blocks = 1;
      if (size <= 32 && count * size > grid.threads) grid.threads = most_threads<T, size>;
    } else {
      check_cuda(cudaMemsetAsync(correct, 0, sizeof *correct, queue.stream()), "cudaMemsetAsync");
    }
    launch("loss_evaluate", queue, grid, evaluate_rows<T, Kind, size>, kind, rows, alone, sum, correct);
    if (!alone && sum) launch("loss_evaluate", queue, {1, sum_threads}, sum_costs, rows.costs, count, sum);
  });
}

template <class T>
void evaluate(Queue& queue, LossKind kind, const LossRows<T>& rows, double* sum, unsigned long long* correct) {
  switch (kind) {
    case LossKind::softmax_cross_entropy:
      return evaluate_each(queue, SoftmaxCrossEntropy{}, rows, sum, correct);
    case LossKind::sigmoid_cross_entropy:
      return evaluate_each(queue, SigmoidCrossEntropy{}, rows, sum, correct);
    case LossKind::quadratic:
      return evaluate_each(queue, Squares{false}, rows, sum, correct);
    case LossKind::mean_squared_error:
      return evaluate_each(queue, Squares{true}, rows, sum, correct);
  }
}

}  // namespace

template <class T>
void loss_evaluate(Queue& queue, LossKind kind, Matrix<const T> outputs, Targets<T> targets, Index whole,
                   const Index* lengths, Index steps, const Index* counted, Matrix<T> d, double* costs,
                   RunState* state) {
  evaluate<T>(queue, kind, {outputs, targets, whole, lengths, steps, counted, d, costs}, &state->loss, &state->correct);
}

template <class T>
void loss_evaluate(Queue& queue, LossKind kind, Matrix<const T> outputs, Targets<T> targets, Index whole, Matrix<T> d,
                   double* costs, RunState* state) {
  loss_evaluate(queue, kind, outputs, targets, whole, nullptr, 1, nullptr, d, costs, state);
}

namespace {

template <class T>
Index evaluate(Context, LossKind kind, Matrix<const T> outputs, Targets<T> targets, Index batch, Matrix<T> d,
               double* costs) {
  Staging host;
  unsigned long long correct = 0;
  const Targets<T> there = {host.in(targets.classes, outputs.rows),
                            targets.classes ? targets.values : host.in(targets.values)};
  const LossRows<T> rows = {
      host.in(outputs), there, batch, nullptr, 1, nullptr, host.out(d), host.out(costs, outputs.rows)};
  evaluate<T>(host.queue(), kind, rows, nullptr, host.place(&correct));
  host.finish();
  return static_cast<Index>(correct);
}

}  // namespace

template <class T>
LossKernels<T> loss_kernels() {
  return {evaluate<T>};
}

#define GRADWELL_INSTANTIATE(T)                                                                                        \
  template void loss_evaluate(Queue&, LossKind, Matrix<const T>, Targets<T>, Index, const Index*, Index, const Index*, \
                              Matrix<T>, double*, RunState*);                                                          \
  template void loss_evaluate(Queue&, LossKind, Matrix<const T>, Targets<T>, Index, Matrix<T>, double*, RunState*);    \
  template LossKernels<T> loss_kernels<T>();
GRADWELL_INSTANTIATE(float)
GRADWELL_INSTANTIATE(double)

}  // namespace cuda
}  // namespace gradwell

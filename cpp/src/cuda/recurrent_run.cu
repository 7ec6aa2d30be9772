#include "cuda/recurrent_run.h"

#include "cuda/recurrent_slices.h"
#include "cuda/recurrent_unit.h"

namespace gradwell {
namespace cuda {
namespace {

template <class T, class Cell>
struct Shape {
  static constexpr bool lstm = Cell::kind == CellKind::lstm, gru = Cell::kind == CellKind::gru;
  static constexpr bool before = Cell::kind == CellKind::gru_before;
  static constexpr int vectors = Cell::vectors / Cell::units;
  // gru_before has a second product, of the candidate.
  static constexpr int held = held_numbers<T> / (before ? 2 : 1) / vectors / 4 * 4, held_second = held_numbers<T> / 2;
  using First = WeightSlice<T, vectors, held>;
  using Second = WeightSlice<T, 1, before ? held_second : 4>;
};

// Places in shared memory, and how the block is made up.
struct ForwardPlan {
  Slices slices;
  int threads;
  int state, reset, cell, gates, sums, own, rest, rest_second;
  int numbers;
};

template <class T, class Cell>
ForwardPlan forward_plan(int rows, int hidden) {
  using S = Shape<T, Cell>;
  ForwardPlan plan;
  SharedPlan memory;
  plan.slices = slices_of(hidden, hidden);
  plan.threads = static_cast<int>(ceiling(plan.slices.count * hidden, 32)) * 32;
  const int depth = plan.slices.depth();
  plan.state = memory.take(rows * depth);
  plan.reset = memory.take(S::before ? rows * depth : 0);
  plan.cell = memory.take(S::lstm ? rows * hidden : 0);
  plan.gates = memory.take(S::before ? rows * 3 * hidden : 0);
  plan.sums = memory.take(plan.slices.count * rows * S::vectors * hidden);
  plan.own = memory.take(S::gru ? rows * hidden : 0);
  plan.rest = memory.take(S::First::shared_numbers(plan.slices, hidden));
  plan.rest_second = memory.take(S::before ? S::Second::shared_numbers(plan.slices, hidden) : 0);
  plan.numbers = memory.numbers;
  return plan;
}

// What is known of the sums before the recurrent products: x W + b, asked for one step ahead. The first slice begins
// with it.
template <class T, class Cell, int Rows>
struct KnownSums {
  using S = Shape<T, Cell>;
  T first[Rows][S::vectors];
  T other[Rows][1];  // gru: of the candidate, which r does not multiply; gru_before: the second product's

  __device__ void fetch(const RecurrentRun<T>& run, Index t, Index from, int s, int j) {
    const Index hidden = run.hidden;
    GRADWELL_UNROLL
    for (int r = 0; r < Rows; ++r) {
      const bool has = s == 0 && t < run.steps && from + r < run.batch;
      const T* const gates = run.gates + (t * run.batch + from + r) * Cell::gates * hidden + j;
      GRADWELL_UNROLL
      for (int v = 0; v < S::vectors; ++v) first[r][v] = has && !(S::gru && v == 2) ? gates[v * hidden] : T(0);
      other[r][0] = (S::gru || S::before) && has ? gates[2 * hidden] : T(0);
    }
  }
};

template <class T, class Cell, int Rows>
__global__ void __launch_bounds__(run_threads, 1)
    forward_run(RecurrentRun<T> run, Cell cell, ForwardPlan plan, const T* recurrent, Sequence<T> y) {
  using S = Shape<T, Cell>;
  const int hidden = static_cast<int>(run.hidden), depth = plan.slices.depth(), count = plan.slices.count;
  const int thread = static_cast<int>(threadIdx.x), groups = plan.threads / hidden;
  const int s = thread / hidden, j = thread % hidden;
  const Index from = static_cast<Index>(blockIdx.x) * Rows;
  T* const memory = shared_memory<T>();
  T *const states = memory + plan.state, *const reset = memory + plan.reset, *const cells = memory + plan.cell;
  T *const staged = memory + plan.gates, *const own = memory + plan.own;
  const SliceSums<T, Rows, S::vectors> sums = {memory + plan.sums, hidden};
  const SliceSums<T, Rows, 1> sums_second = {memory + plan.sums, hidden};

  typename S::First weight;
  typename S::Second weight_second;
  const int wide = Cell::gates * hidden;
  weight.load(plan.slices, hidden, hidden, recurrent, wide, memory + plan.rest);
  if constexpr (S::before)
    weight_second.load(plan.slices, hidden, hidden, recurrent + 2 * hidden, wide, memory + plan.rest_second);

  for (int k = thread; k < plan.sums; k += plan.threads) memory[k] = 0;  // all that stands before it
  Index longest = 0;
  for (int r = 0; r < Rows && from + r < run.batch; ++r) {
    const Index length = run.lengths ? run.lengths[from + r] : run.whole;
    if (length > longest) longest = length;
    if (s >= groups || r % groups != s) continue;
    run.states[(from + r) * hidden + j] = 0;
    if (S::lstm) run.cells[(from + r) * hidden + j] = 0;
  }
  KnownSums<T, Cell, Rows> known;
  known.fetch(run, 0, from, s, j);
  __syncthreads();

  const auto row_at = [&](Index t, int r) {
    CellRow<T> at = row_of(run, t, from + r, j);
    at.before = states + r * depth + j;
    at.input = nullptr;  // among the sums
    if (S::lstm) at.cell_before = at.cell = cells + r * hidden + j;
    if (S::before) {
      at.gates = staged + r * 3 * hidden + j;
      at.cell = reset + r * depth + j;
    }
    return at;
  };
  const auto keep = [&](const CellRow<T>& at, StepPlace place, Index t, int r, T h) {
    const Index b = from + r, row = (t * run.batch + b) * hidden + j;
    keep_state<T>(at, place.active, h, y, b, place.time, j);
    states[r * depth + j] = place.active ? h : *at.before;
    if (S::lstm) run.cells[row + run.batch * hidden] = *at.cell;
    if (!S::before) return;
    run.cells[row] = *at.cell;
    for (int k = 0; k < 3; ++k) run.gates[(t * run.batch + b) * wide + k * hidden + j] = at.gate(k);
  };

  for (Index t = 0; t < run.steps; ++t) {
    const bool goes = t < longest;  // for one of the block at least
    if (goes) {
      if (weight.works) {
        weight.add(states, known.first);
        sums.put(s, j, known.first);
        GRADWELL_UNROLL
        for (int r = 0; S::gru && r < Rows; ++r)
          if (s == 0) own[r * hidden + j] = known.other[r][0];
      }
      T second[Rows][1];
      GRADWELL_UNROLL
      for (int r = 0; r < Rows; ++r) second[r][0] = known.other[r][0];
      if (weight.works) known.fetch(run, t + 1, from, s, j);
      __syncthreads();
      if constexpr (S::before) {
        for (int r = s; s < groups && r < Rows && from + r < run.batch; r += groups) {
          const CellRow<T> at = row_at(t, r);
          T sum[2] = {sums.whole(count, r, 0, j), sums.whole(count, r, 1, j)};
          if (place_of(run, t, from + r).active) {
            cell.forward(at, sum);
          } else {
            skip_step(run, at);
          }
        }
        __syncthreads();
        if (weight.works) {
          weight_second.add(reset, second);
          sums_second.put(s, j, second);
        }
        __syncthreads();
      }
    }
    for (int r = s; s < groups && r < Rows && from + r < run.batch; r += groups) {
      const CellRow<T> at = row_at(t, r);
      const StepPlace place = place_of(run, t, from + r);
      T h = 0;
      if (!place.active) {
        skip_step(run, at);
      } else if constexpr (S::before) {
        h = cell.candidate(at, sums_second.whole(count, r, 0, j));
      } else {
        T sum[4] = {};
        GRADWELL_UNROLL
        for (int v = 0; v < S::vectors; ++v) sum[v] = sums.whole(count, r, v, j);
        if (S::gru) sum[3] = own[r * hidden + j];
        h = cell.forward(at, sum);
      }
      keep(at, place, t, r, h);
    }
    if (goes) __syncthreads();
  }
}

template <class T, class Cell>
int rows_of(const RecurrentRun<T>& run, BlockLimits limits) {
  if (run.hidden > run_threads) return 0;
  return rows_of_block(run.batch, limits.processors, [&](int rows) {
    const Index numbers = forward_plan<T, Cell>(rows, static_cast<int>(run.hidden)).numbers;
    return numbers * static_cast<Index>(sizeof(T)) <= limits.shared_bytes;
  });
}

template <int Rows, class T, class Cell>
void launch_rows(Queue& queue, const RecurrentRun<T>& run, const T* recurrent, Sequence<T> y, const Cell& cell) {
  const ForwardPlan plan = forward_plan<T, Cell>(Rows, static_cast<int>(run.hidden));
  launch("recurrent_forward", queue,
         {ceiling(run.batch, Rows), plan.threads, static_cast<std::size_t>(plan.numbers) * sizeof(T)},
         forward_run<T, Cell, Rows>, run, cell, plan, recurrent, y);
}

}  // namespace

BlockLimits block_limits() {
  cudaDeviceProp properties;
  check_cuda(cudaGetDeviceProperties(&properties, 0), "cudaGetDeviceProperties");
  return {properties.multiProcessorCount, static_cast<Index>(properties.sharedMemPerBlockOptin)};
}

template <class T>
bool runs_forward(const RecurrentRun<T>& run, BlockLimits limits) {
  bool runs = false;
  with_cell<T>(run, [&](auto cell) { runs = rows_of<T, decltype(cell)>(run, limits) > 0; });
  return runs;
}

template <class T>
void forward_in_one(Queue& queue, const RecurrentRun<T>& run, BlockLimits limits, const T* recurrent, Sequence<T> y) {
  with_cell<T>(run, [&](auto cell) {
    const int rows = rows_of<T, decltype(cell)>(run, limits);
    if (rows == 4) return launch_rows<4>(queue, run, recurrent, y, cell);
    if (rows == 2) return launch_rows<2>(queue, run, recurrent, y, cell);
    launch_rows<1>(queue, run, recurrent, y, cell);
  });
}

#define GRADWELL_INSTANTIATE(T)                                    \
  template bool runs_forward(const RecurrentRun<T>&, BlockLimits); \
  template void forward_in_one(Queue&, const RecurrentRun<T>&, BlockLimits, const T*, Sequence<T>);
GRADWELL_INSTANTIATE(float)
GRADWELL_INSTANTIATE(double)

}  // namespace cuda
}  // namespace gradwell

// The way back of recurrent_run.h.
#include "cuda/recurrent_run.h"
#include "cuda/recurrent_slices.h"
#include "cuda/recurrent_unit.h"

namespace gradwell {
namespace cuda {
namespace {

template <class T, class Cell>
struct Shape {
  static constexpr bool rnn = Cell::kind == CellKind::rnn, lstm = Cell::kind == CellKind::lstm;
  static constexpr bool gru = Cell::kind == CellKind::gru, before = Cell::kind == CellKind::gru_before;
  static constexpr int gates = Cell::gates, states = state_quantities(Cell::kind), quantities = states + gates;
  // gru_before's candidate comes before its other gates, by a product of its own.
  static constexpr int held = held_numbers<T> / (before ? 2 : 1);
  using First = WeightSlice<T, 1, held>;
  using Second = WeightSlice<T, 1, before ? held : 4>;
};

// Places in shared memory, and how the block is made up.
struct BackwardPlan {
  Slices slices, second;
  int threads;
  int delta, candidate, gates, kept, now, before, dy, dh, dc;  // zeros at first
  int sums, record, rest, rest_second;
  int numbers;
};

template <class T, class Cell>
BackwardPlan backward_plan(int rows, int hidden, bool records) {
  using S = Shape<T, Cell>;
  BackwardPlan plan;
  SharedPlan memory;
  plan.slices = slices_of((S::before ? 2 : S::gates) * hidden, hidden);
  plan.second = S::before ? slices_of(hidden, hidden) : Slices{0, 0};
  const int most = plan.slices.count > plan.second.count ? plan.slices.count : plan.second.count;
  plan.threads = static_cast<int>(ceiling(most * hidden, 32)) * 32;
  const int each = rows * hidden;
  plan.delta = memory.take(rows * plan.slices.depth());
  plan.candidate = memory.take(rows * plan.second.depth());
  plan.gates = memory.take(S::before ? 3 * each : 0);
  plan.kept = memory.take(S::before ? 0 : each);
  plan.now = memory.take(S::lstm ? each : 0);
  plan.before = memory.take(S::gru || S::before ? each : 0);
  plan.dy = memory.take(each);
  plan.dh = memory.take(each);
  plan.dc = memory.take(S::lstm ? each : 0);
  plan.sums = memory.take(most * each);
  plan.record = memory.take(records ? S::quantities * each : 0);
  plan.rest = memory.take(S::First::shared_numbers(plan.slices, hidden));
  plan.rest_second = memory.take(S::before ? S::Second::shared_numbers(plan.second, hidden) : 0);
  plan.numbers = memory.numbers;
  return plan;
}

// What a step reads, asked for one step ahead by the threads that will need it.
template <class T, class Cell, int Rows>
struct NextStep {
  using S = Shape<T, Cell>;
  T gates[Rows][Cell::gates], kept[Rows], before[Rows], dy[Rows];

  __device__ void fetch(const RecurrentRun<T>& run, Sequence<const T> upstream, Index t, Index from, unsigned mine,
                        int j) {
    const int hidden = static_cast<int>(run.hidden);
    GRADWELL_UNROLL
    for (int r = 0; r < Rows; ++r) {
      if (t < 0 || !(mine >> r & 1)) continue;
      const Index b = from + r, row = t * run.batch + b, at = row * hidden + j;
      GRADWELL_UNROLL
      for (int k = 0; k < Cell::gates; ++k)
        if (!S::rnn) gates[r][k] = run.gates[(row * Cell::gates + k) * hidden + j];
      if (S::rnn) kept[r] = run.states[at + run.batch * hidden];
      if (S::lstm || S::gru) kept[r] = run.cells[at];
      if (S::gru || S::before) before[r] = run.states[at];
      const StepPlace place = place_of(run, t, b);
      const bool has = upstream.data && place.active;
      dy[r] = has ? upstream.data[b * upstream.row + place.time * upstream.step + j] : T(0);
    }
  }
};

template <class T, class Cell, int Rows>
__global__ void __launch_bounds__(run_threads, 1)
    backward_run(RecurrentRun<T> run, Cell cell, BackwardPlan plan, const T* transposed, Sequence<const T> dy,
                 Matrix<const T> dlast, double* norms) {
  using S = Shape<T, Cell>;
  constexpr int wide = Cell::gates;
  const int hidden = static_cast<int>(run.hidden), depth = plan.slices.depth();
  const int thread = static_cast<int>(threadIdx.x), groups = plan.threads / hidden;
  const int s = thread / hidden, j = thread % hidden;
  const Index from = static_cast<Index>(blockIdx.x) * Rows;
  T* const memory = shared_memory<T>();
  T *const delta = memory + plan.delta, *const candidate = memory + plan.candidate, *const dh = memory + plan.dh;
  T *const kept = memory + plan.kept, *const now = memory + plan.now, *const before = memory + plan.before;
  T* const record = norms ? memory + plan.record : nullptr;
  // Gates turn into gradients where the product reads them, unless that wants them elsewhere.
  T* const staged = S::before ? memory + plan.gates : delta;
  const int apart = S::before ? 3 * hidden : depth;
  const SliceSums<T, Rows, 1> sums = {memory + plan.sums, hidden};

  typename S::First weight;
  typename S::Second weight_second;
  weight.load(plan.slices, (S::before ? 2 : wide) * hidden, hidden, transposed, hidden, memory + plan.rest);
  if constexpr (S::before)
    weight_second.load(plan.second, hidden, hidden, transposed + 2 * static_cast<Index>(hidden) * hidden, hidden,
                       memory + plan.rest_second);

  for (int k = thread; k < plan.sums; k += plan.threads) memory[k] = 0;
  __syncthreads();
  unsigned mine = 0;
  Index longest = 0;
  for (int r = 0; r < Rows && from + r < run.batch; ++r) {
    const Index length = run.lengths ? run.lengths[from + r] : run.whole;
    if (length > longest) longest = length;
    if (s < groups && r % groups == s) mine |= 1u << r;
  }
  for (int r = 0; r < Rows; ++r) {
    if (!(mine >> r & 1)) continue;
    if (dlast.data) dh[r * hidden + j] = dlast.data[(from + r) * dlast.stride + j];
    if (S::lstm) kept[r * hidden + j] = run.cells[(longest * run.batch + from + r) * hidden + j];
  }
  for (Index t = longest; norms && t < run.steps; ++t)
    for (int k = thread; k < S::quantities * Rows; k += plan.threads)
      if (from + k % Rows < run.batch) norms[(k / Rows * run.whole + t) * run.batch + from + k % Rows] = 0;
  NextStep<T, Cell, Rows> next = {};
  next.fetch(run, dy, longest - 1, from, mine, j);

  const auto row_at = [&](Index t, int r) {
    CellRow<T> at = row_of(run, t, from + r, j);
    const int k = r * hidden + j;
    at.gates = staged + r * apart + j;
    at.before = before + k;
    at.state = kept + k;
    at.cell_before = kept + k;
    at.cell = S::lstm ? now + k : kept + k;
    return at;
  };
  const auto hand_on = [&](const CellRow<T>& at, Index t, int r) {
    const Index row = t * run.batch + from + r;
    for (int k = 0; k < wide; ++k) run.gates[(row * wide + k) * hidden + j] = at.gate(k);
    for (int k = 0; record && k < wide; ++k) record[(r * S::quantities + S::states + k) * hidden + j] = at.gate(k);
    if (S::gru) {
      run.cells[row * hidden + j] = *at.cell;
      at.set_gate(2, *at.cell);  // what the recurrent product takes back
    }
    for (int k = 0; S::before && k < 2; ++k) delta[r * depth + k * hidden + j] = at.gate(k);
  };

  for (Index t = longest - 1; t >= 0; --t) {
    const bool arrives = t + 1 < run.steps;
    if (arrives && weight.works) {
      T sum[Rows][1] = {};
      weight.add(delta, sum);
      sums.put(s, j, sum);
    }
    __syncthreads();
    GRADWELL_UNROLL
    for (int r = 0; r < Rows; ++r) {
      if (!(mine >> r & 1)) continue;
      const int k = r * hidden + j;
      GRADWELL_UNROLL
      for (int g = 0; g < wide; ++g)
        if (!S::rnn) staged[r * apart + g * hidden + j] = next.gates[r][g];
      if (S::lstm) now[k] = kept[k];
      if (!S::before) kept[k] = next.kept[r];
      if (S::gru || S::before) before[k] = next.before[r];
      memory[plan.dy + k] = next.dy[r];
    }
    next.fetch(run, dy, t - 1, from, mine, j);
    for (int r = s; s < groups && r < Rows && from + r < run.batch; r += groups) {
      const StepPlace place = place_of(run, t, from + r);
      if (!place.active) continue;  // its gates are zeros, and what goes back waits in dh and dc
      const CellRow<T> at = row_at(t, r);
      const int k = r * hidden + j;
      const T sum = arrives ? sums.whole(plan.slices.count, r, 0, j) : T(0);
      go_back<T>(cell, at, place, sum, memory[plan.dy + k],
                 {dh + k, memory + plan.dc + k, record ? record + r * S::quantities * hidden + j : nullptr, hidden});
      if (S::before) {
        candidate[r * plan.second.depth() + j] = at.gate(2);
      } else {
        hand_on(at, t, r);
      }
    }
    __syncthreads();
    if constexpr (S::before) {
      if (weight_second.works) {
        T sum[Rows][1] = {};
        weight_second.add(candidate, sum);
        sums.put(s, j, sum);
      }
      __syncthreads();
      for (int r = s; s < groups && r < Rows && from + r < run.batch; r += groups) {
        if (!place_of(run, t, from + r).active) continue;
        const CellRow<T> at = row_at(t, r);
        dh[r * hidden + j] += cell.reset(at, sums.whole(plan.second.count, r, 0, j));
        hand_on(at, t, r);
      }
      __syncthreads();
    }
    for (int k = thread / 32; record && k < S::quantities * Rows; k += plan.threads / 32) {
      const int q = k / Rows, r = k % Rows;
      if (from + r >= run.batch) continue;
      const StepPlace place = place_of(run, t, from + r);
      const double norm = place.active ? norm_by_warp(record + (r * S::quantities + q) * hidden, hidden) : 0;
      if (thread % 32 == 0) norms[(q * run.whole + place.time) * run.batch + from + r] = norm;
    }
  }
}

template <class T, class Cell>
int rows_of(const RecurrentRun<T>& run, bool records, BlockLimits limits) {
  if (run.hidden > run_threads) return 0;
  return rows_of_block(run.batch, limits.processors, [&](int rows) {
    const Index numbers = backward_plan<T, Cell>(rows, static_cast<int>(run.hidden), records).numbers;
    return numbers * static_cast<Index>(sizeof(T)) <= limits.shared_bytes;
  });
}

template <int Rows, class T, class Cell>
void launch_rows(Queue& queue, const RecurrentRun<T>& run, const T* transposed, Sequence<const T> dy,
                 Matrix<const T> dlast, double* norms, const Cell& cell) {
  const BackwardPlan plan = backward_plan<T, Cell>(Rows, static_cast<int>(run.hidden), norms != nullptr);
  launch("recurrent_backward", queue,
         {ceiling(run.batch, Rows), plan.threads, static_cast<std::size_t>(plan.numbers) * sizeof(T)},
         backward_run<T, Cell, Rows>, run, cell, plan, transposed, dy, dlast, norms);
}

}  // namespace

// As if a record were always kept: the way is the same with it and without.
template <class T>
bool runs_backward(const RecurrentRun<T>& run, BlockLimits limits) {
  bool runs = false;
  with_cell<T>(run, [&](auto cell) { runs = rows_of<T, decltype(cell)>(run, true, limits) > 0; });
  return runs;
}

template <class T>
void backward_in_one(Queue& queue, const RecurrentRun<T>& run, BlockLimits limits, const T* transposed,
                     Sequence<const T> dy, Matrix<const T> dlast, double* norms) {
  with_cell<T>(run, [&](auto cell) {
    const int rows = rows_of<T, decltype(cell)>(run, norms != nullptr, limits);
    if (rows == 4) return launch_rows<4>(queue, run, transposed, dy, dlast, norms, cell);
    if (rows == 2) return launch_rows<2>(queue, run, transposed, dy, dlast, norms, cell);
    launch_rows<1>(queue, run, transposed, dy, dlast, norms, cell);
  });
}

#define GRADWELL_INSTANTIATE(T)                                                                           \
  template bool runs_backward(const RecurrentRun<T>&, BlockLimits);                                       \
  template void backward_in_one(Queue&, const RecurrentRun<T>&, BlockLimits, const T*, Sequence<const T>, \
                                Matrix<const T>, double*);
GRADWELL_INSTANTIATE(float)
GRADWELL_INSTANTIATE(double)

}  // namespace cuda
}  // namespace gradwell

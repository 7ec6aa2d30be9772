#include "cuda/recurrent_steps.h"

#include "cuda/product.h"
#include "cuda/recurrent_unit.h"

namespace gradwell {
namespace cuda {
namespace {

constexpr int unit_threads = 128;

// Calls body(sequence, unit), a thread each: a step has too few units to give a thread several.
template <class Body>
__global__ void visit_units(Index hidden, Index across, Body body) {
  const Index b = static_cast<Index>(blockIdx.x) / across;
  const Index unit = static_cast<Index>(blockIdx.x) % across * unit_threads + threadIdx.x;
  if (unit < hidden) body(b, unit);
}
template <class T, class Body>
void for_each_unit(const char* name, Queue& queue, const RecurrentRun<T>& run, Body body) {
  const Index across = ceiling(run.hidden, unit_threads);
  launch(name, queue, {run.batch * across, unit_threads}, visit_units<Body>, run.hidden, across, body);
}

// c = a b, of rows that lie without gaps in wider ones.
template <class T>
void product(Queue& queue, bool transposed, Matrix<const T> a, const T* weight, Index wide, Matrix<T> c, bool adds) {
  Factors factors;
  factors.right_transposed = transposed;
  factors.adds = adds;
  const Matrix<const T> b = {weight, transposed ? c.columns : a.columns, transposed ? a.columns : c.columns, wide};
  multiply(queue, factors, a, b, c);
}

template <class T, class Cell>
struct Gates {
  RecurrentRun<T> run;
  Cell cell;
  Index t;
  const T* sums;
  Sequence<T> y;
  __device__ void operator()(Index b, Index unit) const {
    constexpr int vectors = Cell::vectors / Cell::units;
    const CellRow<T> at = row_of(run, t, b, unit);
    const StepPlace place = place_of(run, t, b);
    T h = 0;
    if (place.active) {
      T sum[4] = {};
      for (int v = 0; v < vectors; ++v) sum[v] = sums[(b * vectors + v) * run.hidden + unit];
      h = cell.forward(at, sum);
    } else {
      skip_step(run, at);
    }
    if (Cell::kind != CellKind::gru_before) keep_state<T>(at, place.active, h, y, b, place.time, unit);
  }
};

template <class T, class Cell>
struct Candidate {
  RecurrentRun<T> run;
  Cell cell;
  Index t;
  const T* sums;
  Sequence<T> y;
  __device__ void operator()(Index b, Index unit) const {
    const CellRow<T> at = row_of(run, t, b, unit);
    const StepPlace place = place_of(run, t, b);
    const T h = place.active ? cell.candidate(at, sums[b * run.hidden + unit]) : T(0);
    keep_state<T>(at, place.active, h, y, b, place.time, unit);
  }
};

template <class T, class Cell>
struct GatesBack {
  RecurrentRun<T> run;
  Cell cell;
  Index t;
  const T* sums;  // or null: nothing comes from the step after
  Sequence<const T> dy;
  T *delta, *dh, *dc;
  T* record;
  __device__ void operator()(Index b, Index unit) const {
    constexpr bool gru = Cell::kind == CellKind::gru;
    const Index hidden = run.hidden, k = b * hidden + unit;
    const StepPlace place = place_of(run, t, b);
    const CellRow<T> at = row_of(run, t, b, unit);
    if (place.active) {
      const T upstream = dy.data ? dy.data[b * dy.row + place.time * dy.step + unit] : T(0);
      T* const values = record ? record + b * state_quantities(Cell::kind) * hidden + unit : nullptr;
      go_back<T>(cell, at, place, sums ? sums[k] : T(0), upstream, {dh + k, dc + k, values, hidden});
    }
    if (!gru) return;
    T* const to = delta + b * 3 * hidden + unit;
    to[0] = at.gate(0);
    to[hidden] = at.gate(1);
    to[2 * hidden] = place.active ? *at.cell : T(0);
  }
};

template <class T, class Cell>
struct ResetBack {
  RecurrentRun<T> run;
  Cell cell;
  Index t;
  const T* sums;
  T* dh;
  __device__ void operator()(Index b, Index unit) const {
    if (!place_of(run, t, b).active) return;
    const Index k = b * run.hidden + unit;
    dh[k] += cell.reset(row_of(run, t, b, unit), sums[k]);
  }
};

template <class T>
struct LastGradient {
  Matrix<const T> from;
  T *dh, *dc;
  bool cells;
  __device__ void operator()(Index b, Index unit) const {
    const Index k = b * from.columns + unit;
    dh[k] = from.data ? from.data[b * from.stride + unit] : T(0);
    if (cells) dc[k] = 0;
  }
};

// A warp each for the quantities of each sequence.
constexpr int norm_warps = 4;
template <class T>
__global__ void step_norms(RecurrentRun<T> run, Index t, const T* record, double* norms) {
  const int states = state_quantities(run.kind), gates = gates_of(run.kind), all = states + gates;
  const Index task = static_cast<Index>(blockIdx.x) * norm_warps + threadIdx.x / 32;
  const Index b = task / all;
  const int q = static_cast<int>(task % all);
  if (b >= run.batch) return;
  const StepPlace place = place_of(run, t, b);
  const T* const values = q < states ? record + (b * states + q) * run.hidden
                                     : run.gates + ((t * run.batch + b) * gates + q - states) * run.hidden;
  const double norm = place.active ? norm_by_warp(values, run.hidden) : 0;
  if (threadIdx.x % 32 == 0) norms[(q * run.whole + place.time) * run.batch + b] = norm;
}

template <class T>
Matrix<const T> part(const T* data, Index rows, Index columns, Index stride) {
  return {data, rows, columns, stride};
}

}  // namespace

template <class T>
void forward_by_steps(Queue& queue, const RecurrentRun<T>& run, const T* recurrent, const StepScratch<T>& scratch,
                      Sequence<T> y) {
  const Index batch = run.batch, hidden = run.hidden, wide = gates_of(run.kind) * hidden;
  T* const sums = scratch.sums.data();
  with_cell<T>(run, [&](auto cell) {
    using Cell = decltype(cell);
    constexpr bool before = Cell::kind == CellKind::gru_before;
    const Index columns = before ? 2 * hidden : wide;
    for (Index t = 0; t < run.steps; ++t) {
      const Index at = t * batch * hidden;
      product(queue, false, part<T>(run.states + at, batch, hidden, hidden), recurrent, wide,
              {sums, batch, columns, columns}, false);
      for_each_unit("recurrent_gates", queue, run, Gates<T, Cell>{run, cell, t, sums, y});
      if constexpr (before) {
        product(queue, false, part<T>(run.cells + at, batch, hidden, hidden), recurrent + 2 * hidden, wide,
                {sums, batch, hidden, hidden}, false);
        for_each_unit("recurrent_candidate", queue, run, Candidate<T, Cell>{run, cell, t, sums, y});
      }
    }
  });
}

template <class T>
void backward_by_steps(Queue& queue, const RecurrentRun<T>& run, const T* recurrent, const StepScratch<T>& scratch,
                       Sequence<const T> dy, Matrix<const T> dlast, double* norms) {
  const Index batch = run.batch, hidden = run.hidden, wide = gates_of(run.kind) * hidden;
  T* const dh = scratch.dh.data();
  const Matrix<T> sums = {scratch.sums.data(), batch, hidden, hidden};
  T* const record = norms ? scratch.record.data() : nullptr;
  for_each_unit(
      "recurrent_last", queue, run,
      LastGradient<T>{{dlast.data, batch, hidden, dlast.stride}, dh, scratch.dc.data(), run.kind == CellKind::lstm});
  with_cell<T>(run, [&](auto cell) {
    using Cell = decltype(cell);
    constexpr bool before = Cell::kind == CellKind::gru_before, gru = Cell::kind == CellKind::gru;
    for (Index t = run.steps - 1; t >= 0; --t) {
      const bool arrives = t + 1 < run.steps;
      const T* const from = gru ? scratch.delta.data() : run.gates + (t + 1) * batch * wide;
      if (arrives)
        product(queue, true, part(from, batch, before ? 2 * hidden : wide, wide), recurrent, wide, sums, false);
      for_each_unit("recurrent_gates_back", queue, run,
                    GatesBack<T, Cell>{run, cell, t, arrives ? sums.data : nullptr, dy, scratch.delta.data(), dh,
                                       scratch.dc.data(), record});
      if constexpr (before) {
        const T* const candidate = run.gates + t * batch * wide + 2 * hidden;
        product(queue, true, part(candidate, batch, hidden, wide), recurrent + 2 * hidden, wide, sums, false);
        for_each_unit("recurrent_reset_back", queue, run, ResetBack<T, Cell>{run, cell, t, sums.data, dh});
      }
      if (norms)
        launch("recurrent_norms", queue, {ceiling(batch * time_quantities(run.kind), norm_warps), 32 * norm_warps},
               step_norms<T>, run, t, record, norms);
    }
  });
}

#define GRADWELL_INSTANTIATE(T)                                                                                       \
  template void forward_by_steps(Queue&, const RecurrentRun<T>&, const T*, const StepScratch<T>&, Sequence<T>);       \
  template void backward_by_steps(Queue&, const RecurrentRun<T>&, const T*, const StepScratch<T>&, Sequence<const T>, \
                                  Matrix<const T>, double*);
GRADWELL_INSTANTIATE(float)
GRADWELL_INSTANTIATE(double)

}  // namespace cuda
}  // namespace gradwell

// One unit of one sequence at one step of a run: where it lies, whether it takes part, what becomes of it where it does
// not. Shared by the levels of cpp/src/cpu and by cpp/src/cuda.
#pragma once

#include "elementwise/recurrent_cells.h"

namespace gradwell {
namespace GRADWELL_LEVEL {

// The place in time that step t of sequence b stands for, and whether it takes part.
struct StepPlace {
  Index time;
  bool active, goes_on;  // goes_on: the step after it is in this run and takes part
};
template <class T>
GRADWELL_INLINE StepPlace place_of(const RecurrentRun<T>& run, Index t, Index b) {
  const Index length = run.lengths ? run.lengths[b] : run.whole, step = run.origin + t;
  const bool active = step < length;
  return {active && run.reverse ? length - 1 - step : step, active, step + 1 < length && t + 1 < run.steps};
}

template <class T>
GRADWELL_INLINE CellRow<T> row_of(const RecurrentRun<T>& run, Index t, Index b, Index unit) {
  const Index hidden = run.hidden, at = (t * run.batch + b) * hidden + unit;
  const Index left = hidden - unit, next = at + run.batch * hidden;
  CellRow<T> row;
  row.hidden = hidden;
  row.n = static_cast<int>(left < lanes<T> ? left : lanes<T>);
  row.gates = run.gates + (t * run.batch + b) * gates_of(run.kind) * hidden + unit;
  row.before = run.states + at;
  row.state = run.states + next;
  row.cell_before = run.cells ? run.cells + at : nullptr;
  row.cell = run.cells ? run.cells + (is_gru(run.kind) ? at : next) : nullptr;
  row.peephole = run.peephole ? run.peephole + unit : nullptr;
  row.bias = run.bias ? run.bias + unit : nullptr;
  row.input = run.inputs == 0 ? row.gates : (run.input_bias ? run.input_bias + unit : nullptr);
  return row;
}

// What has been made of a unit's step, or of a step that is none, becomes its state and its output.
template <class T>
GRADWELL_INLINE void keep_state(const CellRow<T>& at, bool active, Pack<T> h, Sequence<T> y, Index b, Index time,
                                Index unit) {
  store_n<T>(at.state, active ? h : load_n<T>(at.before, at.n), at.n);
  if (y.data) store_n<T>(y.data + b * y.row + time * y.step + unit, active ? h : Pack<T>{}, at.n);
}

template <class T>
GRADWELL_INLINE void skip_step(const RecurrentRun<T>& run, const CellRow<T>& at) {
  for (int k = 0; k < gates_of(run.kind); ++k) at.set_gate(k, Pack<T>{});
  if (run.cells) store_n<T>(at.cell, is_gru(run.kind) ? Pack<T>{} : load_n<T>(at.cell_before, at.n), at.n);
}

}  // namespace GRADWELL_LEVEL
}  // namespace gradwell

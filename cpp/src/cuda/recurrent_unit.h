// One unit of one sequence at one step, for both ways through time (recurrence.h). Private to cpp/src/cuda.
#pragma once

#include "cuda/launch.h"
#include "elementwise/recurrent_steps.h"
#include "elementwise/square_parts.h"

namespace gradwell {
namespace cuda {

// The activation of a plain cell, looked up where it is used: its three kinds share their kernels.
template <class T>
struct StateActivation {
  ActivationKind kind;
  __device__ T value(T x) const {
    if (kind == ActivationKind::tanh) return Tanh<T>{}.value(x);
    return kind == ActivationKind::sigmoid ? Sigmoid<T>{}.value(x) : LeakyRelu<T>{T(0)}.value(x);
  }
  __device__ T from_output(T y) const {
    if (kind == ActivationKind::tanh) return Tanh<T>{}.from_output(y);
    return kind == ActivationKind::sigmoid ? Sigmoid<T>{}.from_output(y) : LeakyRelu<T>{T(0)}.from_output(y);
  }
};

// Calls body(cell) with the functor of a run's cell.
template <class T, class Body>
void with_cell(const RecurrentRun<T>& run, Body&& body) {
  switch (run.kind) {
    case CellKind::lstm:
      return body(LstmCell<T>{});
    case CellKind::gru:
      return body(GruCell<T>{});
    case CellKind::gru_before:
      return body(GruBeforeCell<T>{});
    case CellKind::rnn:
      return body(RnnCell<T, StateActivation<T>>{{run.activation}});
  }
}

// Rows of the time record before those of the gates.
GRADWELL_ANYWHERE constexpr int state_quantities(CellKind kind) {
  return kind == CellKind::lstm ? 4 : 2;
}

// What waits between the steps of a unit, and where its values for the record go, or null, `apart` from one another.
template <class T>
struct UnitMemory {
  T *dh, *dc;
  T* record;
  Index apart;
};

// A unit's way back through a step that it takes part in: `sum` comes from the gates of the step after, `dy` from the
// output.
template <class T, class Cell>
__device__ void go_back(const Cell& cell, const CellRow<T>& at, StepPlace place, T sum, T dy, UnitMemory<T> memory) {
  constexpr bool lstm = Cell::kind == CellKind::lstm;
  const bool waits = is_gru(Cell::kind) || !place.goes_on;
  const T arrived = waits ? sum + *memory.dh : sum;
  CellBack<T> back;
  back.dh = arrived + dy;
  const T total = back.dh, cell_arrived = lstm ? *memory.dc : T(0);
  back.dc = cell_arrived;
  cell.backward(at, back);
  if (waits) *memory.dh = back.straight;
  if (lstm) *memory.dc = back.dc;
  if (!memory.record) return;
  memory.record[0] = total;
  memory.record[memory.apart] = place.goes_on ? arrived : T(0);
  if (!lstm) return;
  memory.record[2 * memory.apart] = back.dc_whole;
  memory.record[3 * memory.apart] = place.goes_on ? cell_arrived : T(0);
}

// Euclidean norm, by the threads of a warp.
template <class T>
__device__ double norm_by_warp(const T* values, Index count) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  double sums[3] = {};
  for (Index k = lane; k < count; k += 32) {
    const double x = static_cast<double>(values[k]), up = x * small_scale, down = x * large_scale;
    sums[0] = fma(x, x, sums[0]);
    if (square_parts<T> == 1) continue;
    sums[1] = fma(up, up, sums[1]);
    sums[2] = fma(down, down, sums[2]);
  }
  for (int part = 0; part < square_parts<T>; ++part) sums[part] = join_warp(sums[part], Plus{});
  return square_parts<T> == 1 ? root(sums[0]) : norm_of_parts(sums[0], sums[1], sums[2]);
}

}  // namespace cuda
}  // namespace gradwell

#include "gradwell/recurrence.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <new>

#include "core/pool.h"
#include "core/team.h"
#include "program_sizes.h"

namespace gradwell {

template <class T>
Recurrence<T>::Recurrence(RecurrenceSettings settings, RecurrenceParameters<T> parameters)
    : settings_(settings), parameters_(parameters), omega_(std::numeric_limits<double>::quiet_NaN()) {
  fused_ = !settings.normalises && kernels<T>().recurrent.fuses_input(settings.kind, settings.inputs, settings.hidden);
}

template <class T>
Recurrence<T>::~Recurrence() {
  if (memory_) give_block(memory_);
}

// One block for all, taken from the pool: memory that was used before costs no page faults.
template <class T>
void Recurrence<T>::reserve(Index batch, Index steps) {
  if (memory_ && batch <= capacity_ && steps == steps_) return;
  if (memory_) give_block(memory_);
  memory_ = nullptr;
  capacity_ = 0;
  const auto& kernel = kernels<T>().recurrent;
  const Index hidden = settings_.hidden, all = product(batch, steps), state = product(batch, hidden);
  const Index states = product(batch, product(steps + 1, hidden));
  const bool lstm = settings_.kind == CellKind::lstm, gru = is_gru(settings_.kind);
  const bool overlaps = settings_.reach > settings_.advance;
  struct Part {
    T** pointer;
    Index count;
  };
  const bool norm = settings_.normalises;
  const Index window = overlaps ? product(std::min(settings_.reach, steps), batch) : 0;
  const Part parts[] = {{&x_, product(all, settings_.inputs)},
                        {&dx_, product(all, settings_.inputs)},
                        {&run_.gates, product(all, gates())},
                        {&run_.states, states},
                        {&run_.cells, lstm ? states : (gru ? product(all, hidden) : 0)},
                        {&there_, kernel.panel_numbers(settings_.kind, fused_ ? settings_.inputs : 0, hidden, false)},
                        {&back_, kernel.panel_numbers(settings_.kind, 0, hidden, true)},
                        {&spare_, settings_.omega > 0 ? product(all, hidden) + hidden * hidden : 0},
                        {&dstate_, state},
                        {&dcell_, lstm ? state : 0},
                        {&last_, settings_.advance > 0 ? 2 * state : 0},
                        {&dgates_, overlaps ? product(all, gates()) : 0},
                        {&dcells_, overlaps && gru ? product(all, hidden) : 0},
                        {&window_gates_, product(window, gates())},
                        {&input_, norm ? product(all, gates()) : 0},
                        {&dinput_, norm ? product(all, gates()) : 0},
                        {&u_, norm ? product(all, gates()) : 0},
                        {&du_, norm ? product(all, gates()) : 0},
                        {&c_, norm ? product(all, hidden) : 0},
                        {&dc_, norm ? product(all, hidden) : 0},
                        {&window_cells_, gru ? product(window, hidden) : 0}};
  Index total = 0;
  for (const Part& part : parts) total += aligned(part.count);
  memory_ = take_block(static_cast<std::size_t>(std::max<Index>(total, 1)) * sizeof(T));
  if (!memory_) throw std::bad_alloc();
  T* next = static_cast<T*>(memory_);
  for (const Part& part : parts) {
    *part.pointer = part.count > 0 ? next : nullptr;
    next += aligned(part.count);
  }
  if (norm)
    for (Block<double>* block : {&mean_, &variance_, &recurrent_scale_, &cell_scale_}) *block = Block<double>(all);
  capacity_ = batch;
  steps_ = steps;
}

template <class T>
RecurrentNorm<T> Recurrence<T>::norm(Index step) const {
  const Index row = step * run_.batch, hidden = settings_.hidden;
  return {parameters_.recurrent_gain,
          parameters_.cell_gain,
          parameters_.cell_shift,
          norm_epsilon,
          u_ + row * gates(),
          du_ + row * gates(),
          c_ + row * hidden,
          dc_ + row * hidden,
          recurrent_scale_.data() + row,
          cell_scale_.data() + row};
}

// Some rows of x W, normalised, scaled and with the bias, into the gates.
template <class T>
void Recurrence<T>::normalise_input(Context context, Index row, Index count) {
  const Matrix<T> from = rows(input_, row, count, gates());
  kernels<T>().layernorm.forward(context, {from.data, count, gates(), gates()}, parameters_.gain, parameters_.bias,
                                 norm_epsilon, {ActivationKind::identity, 0}, {nullptr, 0, 0, 0},
                                 rows(run_.gates, row, count, gates()), mean_.data() + row, variance_.data() + row);
}

template <class T>
void Recurrence<T>::start(Context context, Index batch, const Index* lengths, bool trains) {
  const auto& kernel = kernels<T>().recurrent;
  const Index hidden = settings_.hidden;
  run_.kind = settings_.kind;
  run_.activation = settings_.activation;
  run_.batch = batch;
  run_.steps = run_.whole = steps_;
  run_.hidden = hidden;
  run_.origin = 0;
  run_.lengths = lengths;
  run_.reverse = settings_.reverse;
  run_.peephole = parameters_.peephole;
  run_.bias = parameters_.recurrent_bias;
  run_.panels = there_;
  run_.inputs = fused_ ? settings_.inputs : 0;
  run_.x = x_;
  run_.input_bias = parameters_.bias;
  const Matrix<const T> weight = {parameters_.weight, run_.inputs, gates(), gates()};
  const Matrix<const T> recurrent = {parameters_.recurrent_weight, hidden, gates(), gates()};
  kernel.pack(context, settings_.kind, weight, recurrent, false, there_);
  if (trains) kernel.pack(context, settings_.kind, {nullptr, 0, gates(), gates()}, recurrent, true, back_);
  std::fill_n(run_.states, batch * hidden, T(0));
  std::fill_n(dstate_, batch * hidden, T(0));
  if (settings_.kind == CellKind::lstm) {
    std::fill_n(run_.cells, batch * hidden, T(0));
    std::fill_n(dcell_, batch * hidden, T(0));
  }
}

template <class T>
void Recurrence<T>::forward(Context context, Sequence<const T> x, Index first, Index count, Sequence<T> y) {
  const auto& kernel = kernels<T>();
  const Index inputs = settings_.inputs, batch = run_.batch;
  const Matrix<const T> weight = {parameters_.weight, inputs, gates(), gates()};
  for_each_task(context, steps_, [&](Index t) {
    for (Index b = first; b < first + count; ++b) {
      const Index length = run_.lengths ? run_.lengths[b] : steps_;
      T* const to = x_ + (t * batch + b) * inputs;
      const Index time = settings_.reverse ? length - 1 - t : t;
      if (t < length) {
        std::copy_n(x.data + b * x.row + time * x.step, inputs, to);
      } else {
        std::fill_n(to, inputs, T(0));
      }
    }
  });
  const auto multiply = [&](Index row, Index some) {
    const Matrix<T> from = rows(x_, row, some, inputs);
    const bool norm = settings_.normalises;
    kernel.dense.forward(context, {from.data, some, inputs, inputs}, weight, norm ? nullptr : parameters_.bias,
                         {ActivationKind::identity, 0}, {nullptr, 0, 0, 0},
                         rows(norm ? input_ : run_.gates, row, some, gates()));
    if (norm) normalise_input(context, row, some);
  };
  if (!fused_ && count == batch) {
    multiply(0, steps_ * batch);
  } else if (!fused_) {
    for (Index t = 0; t < steps_; ++t) multiply(t * batch + first, count);
  }
  if (settings_.normalises) return kernel.recurrent.norm_forward(context, run_, norm(0), first, count, y);
  kernel.recurrent.forward(context, run_, first, count, y);
}

template class Recurrence<float>;
template class Recurrence<double>;

}  // namespace gradwell

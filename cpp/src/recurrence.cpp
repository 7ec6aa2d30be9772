#include "gradwell/recurrence.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <new>

#include "core/pool.h"
#include "core/team.h"
#include "program_sizes.h"

namespace gradwell {
namespace {

constexpr double norm_epsilon = 1e-5;

template <class T>
void copy(const T* from, T* to, Index count) {
  std::memcpy(to, from, sizeof(T) * static_cast<std::size_t>(count));
}
template <class T>
void zero(T* to, Index count) {
  std::memset(static_cast<void*>(to), 0, sizeof(T) * static_cast<std::size_t>(count));
}

}  // namespace

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
  zero(run_.states, batch * hidden);
  zero(dstate_, batch * hidden);
  if (settings_.kind == CellKind::lstm) {
    zero(run_.cells, batch * hidden);
    zero(dcell_, batch * hidden);
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
        copy(x.data + b * x.row + time * x.step, to, inputs);
      } else {
        zero(to, inputs);
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

// A run of some steps: everything but the lengths counts from its first.
template <class T>
RecurrentRun<T> Recurrence<T>::part(const Window& window, T* gates_at, T* cells_at) const {
  RecurrentRun<T> run = run_;
  run.steps = window.end - window.begin;
  run.origin = window.begin;
  run.panels = back_;
  run.gates = gates_at;
  run.cells = cells_at;
  run.states = run_.states + window.begin * run_.batch * settings_.hidden;
  return run;
}

template <class T>
std::vector<typename Recurrence<T>::Window> Recurrence<T>::windows() const {
  if (steps_ == 0) return {{0, 0, 0}};
  std::vector<Window> all;
  for (Index from = (steps_ - 1) / settings_.advance * settings_.advance; from >= 0; from -= settings_.advance) {
    const Index end = std::min(from + settings_.advance, steps_);
    all.push_back({std::max<Index>(0, end - settings_.reach), from, end});
    if (all.back().begin > from) all.back().begin = from;
  }
  return all;
}

// One window, in place where windows do not overlap; else on a copy, from where it is added.
template <class T>
void Recurrence<T>::go_back(Context context, const Window& window, Index first, Index count, Sequence<const T> dy,
                            double* norms) {
  const Index hidden = settings_.hidden, batch = run_.batch, wide = gates();
  const auto& kernel = kernels<T>().recurrent;
  const Index at = window.begin * batch, from = window.from - window.begin;
  const bool gru = is_gru(settings_.kind);
  T* const cells = run_.cells ? run_.cells + at * hidden : nullptr;
  if (settings_.normalises)
    return kernel.norm_backward(context, part(window, run_.gates + at * wide, cells), norm(window.begin), first, count,
                                dy, from, dstate_, dcell_, norms);
  if (!dgates_) {
    kernel.backward(context, part(window, run_.gates + at * wide, cells), first, count, dy, from, dstate_, dcell_,
                    norms);
    return;
  }
  for (Index t = 0; t < window.end - window.begin; ++t) {
    const Index row = t * batch + first;
    copy(run_.gates + (at + row) * wide, window_gates_ + row * wide, count * wide);
    if (gru) copy(cells + row * hidden, window_cells_ + row * hidden, count * hidden);
  }
  kernel.backward(context, part(window, window_gates_, gru ? window_cells_ : cells), first, count, dy, from, dstate_,
                  dcell_, norms);
  for (Index t = 0; t < window.end - window.begin; ++t) {
    const Index row = t * batch + first;
    const auto add = [&](const T* source, T* to, Index columns) {
      kernels<T>().residual.add(context, {source + row * columns, count, columns, columns},
                                {to + (at + row) * columns, count, columns, columns});
    };
    add(window_gates_, dgates_, wide);
    if (settings_.kind == CellKind::gru) add(window_cells_, dcells_, hidden);
  }
}

template <class T>
void Recurrence<T>::backward(Context context, Index first, Index count, Sequence<const T> dy, double* norms) {
  const Index hidden = settings_.hidden, batch = run_.batch;
  if (settings_.advance <= 0) return go_back(context, {0, 0, steps_}, first, count, dy, norms);
  const std::vector<Window> all = windows();
  const bool lstm = settings_.kind == CellKind::lstm;
  for (Index t = 0; dgates_ && t < steps_; ++t) {
    zero(dgates_ + (t * batch + first) * gates(), count * gates());
    if (dcells_) zero(dcells_ + (t * batch + first) * hidden, count * hidden);
  }
  // Each sequence's last state gets its gradient in the window that it ends in; what reaches the first state adds up.
  T* const last = last_;
  T* const last_cell = last_ + batch * hidden;
  for (Index b = first; b < first + count; ++b) {
    copy(dstate_ + b * hidden, last + b * hidden, hidden);
    if (lstm) copy(dcell_ + b * hidden, last_cell + b * hidden, hidden);
  }
  std::vector<T> reached(static_cast<std::size_t>(2 * count * hidden), T(0));
  for (const Window& window : all) {
    for (Index b = first; b < first + count; ++b) {
      const Index length = run_.lengths ? run_.lengths[b] : steps_;
      const bool ends = length > window.from && length <= window.end;
      for (Index j = 0; j < hidden; ++j) {
        dstate_[b * hidden + j] = ends ? last[b * hidden + j] : T(0);
        if (lstm) dcell_[b * hidden + j] = ends ? last_cell[b * hidden + j] : T(0);
      }
    }
    go_back(context, window, first, count, dy, norms);
    for (Index k = 0; window.begin == 0 && k < count * hidden; ++k) {
      reached[static_cast<std::size_t>(k)] += dstate_[first * hidden + k];
      if (lstm) reached[static_cast<std::size_t>(count * hidden + k)] += dcell_[first * hidden + k];
    }
  }
  for (Index b = first; b < first + count; ++b) {
    const bool empty = run_.lengths && run_.lengths[b] == 0;
    for (Index j = 0; j < hidden; ++j) {
      const auto k = static_cast<std::size_t>((b - first) * hidden + j);
      dstate_[b * hidden + j] = empty ? last[b * hidden + j] : reached[k];
      if (lstm)
        dcell_[b * hidden + j] =
            empty ? last_cell[b * hidden + j] : reached[k + static_cast<std::size_t>(count * hidden)];
    }
  }
}

template <class T>
void Recurrence<T>::input_gradient(Context context, Index first, Index count, Sequence<T> dx, bool adds) {
  const auto& kernel = kernels<T>();
  const Index inputs = settings_.inputs, batch = run_.batch;
  T* const from = settings_.normalises ? dinput_ : (dgates_ ? dgates_ : run_.gates);
  const Matrix<const T> weight = {parameters_.weight, inputs, gates(), gates()};
  const auto multiply = [&](Index row, Index some) {
    if (settings_.normalises) input_back(context, row, some);
    const Matrix<T> delta = rows(from, row, some, gates());
    kernel.dense.backward_input(context, {delta.data, some, gates(), gates()}, weight, {},
                                rows(dx_, row, some, inputs));
  };
  if (count == batch) {
    multiply(0, steps_ * batch);
  } else {
    for (Index t = 0; t < steps_; ++t) multiply(t * batch + first, count);
  }
  for_each_task(context, steps_, [&](Index t) {
    for (Index b = first; b < first + count; ++b) {
      const Index length = run_.lengths ? run_.lengths[b] : steps_;
      const Index time = settings_.reverse && t < length ? length - 1 - t : t;
      const T* const source = dx_ + (t * batch + b) * inputs;
      T* const to = dx.data + b * dx.row + time * dx.step;
      if (!adds) {
        copy(source, to, inputs);
      } else {
        for (Index j = 0; j < inputs; ++j) to[j] += source[j];
      }
    }
  });
}

template <class T>
void Recurrence<T>::input_back(Context context, Index row, Index count) {
  const Matrix<T> delta = rows(run_.gates, row, count, gates()), x = rows(input_, row, count, gates());
  kernels<T>().layernorm.backward_input(context, {delta.data, count, gates(), gates()},
                                        {x.data, count, gates(), gates()}, parameters_.gain, mean_.data() + row,
                                        variance_.data() + row, norm_epsilon, rows(dinput_, row, count, gates()));
}

template <class T>
void Recurrence<T>::norm_gradients(Context context, RecurrenceParameters<T> to) {
  const auto& kernel = kernels<T>();
  const Index inputs = settings_.inputs, hidden = settings_.hidden, wide = gates(), all = steps_ * run_.batch;
  input_back(context, 0, all);
  kernel.recurrent.gradients(context, {x_, all, inputs, inputs}, {nullptr, all, 0, 0}, {dinput_, all, wide, wide},
                             {to.weight, inputs, wide, wide}, {nullptr, 0, 0, 0}, nullptr);
  kernel.recurrent.gradients(context, {nullptr, all, 0, 0}, {run_.states, all, hidden, hidden}, {du_, all, wide, wide},
                             {nullptr, 0, 0, 0}, {to.recurrent_weight, hidden, wide, wide}, nullptr);
  kernel.layernorm.backward_parameters(context, {run_.gates, all, wide, wide}, {input_, all, wide, wide}, mean_.data(),
                                       variance_.data(), norm_epsilon, to.gain, to.bias);
  kernel.recurrent.norm_gradients(context, run_, norm(0), to.recurrent_gain, to.cell_gain, to.cell_shift);
}

template <class T>
void Recurrence<T>::gradients(Context context, RecurrenceParameters<T> to) {
  if (settings_.normalises) return norm_gradients(context, to);
  const auto& kernel = kernels<T>();
  const Index inputs = settings_.inputs, hidden = settings_.hidden, wide = gates(), all = steps_ * run_.batch;
  T* const delta = dgates_ ? dgates_ : run_.gates;
  T* const own = dcells_ ? dcells_ : run_.cells;
  const auto columns = [&](T* data, Index height, Index from, Index count) {
    return Matrix<T>{data + from, height, count, wide};
  };
  const Matrix<const T> x = {x_, all, inputs, inputs}, h = {run_.states, all, hidden, hidden},
                        none = {nullptr, all, 0, 0};
  const Matrix<T> nothing = {nullptr, 0, 0, 0};
  const auto over_time = [&](Matrix<const T> of_x, Matrix<const T> of_h, Matrix<const T> d, Index from, T* bias) {
    kernel.recurrent.gradients(
        context, of_x, of_h, d, of_x.columns > 0 ? columns(to.weight, inputs, from, d.columns) : nothing,
        of_h.columns > 0 ? columns(to.recurrent_weight, hidden, from, d.columns) : nothing, bias);
  };
  if (!is_gru(settings_.kind)) {
    over_time(x, h, {delta, all, wide, wide}, 0, to.bias);
  } else {  // the candidate's recurrent product has a gradient, or an input, of its own
    const bool after = settings_.kind == CellKind::gru;
    const Matrix<const T> candidate = {delta + 2 * hidden, all, hidden, wide};
    over_time(x, h, {delta, all, 2 * hidden, wide}, 0, to.bias);
    over_time(x, none, candidate, 2 * hidden, to.bias ? to.bias + 2 * hidden : nullptr);
    const Matrix<const T> kept = {own, all, hidden, hidden};
    over_time(none, after ? h : kept, after ? kept : candidate, 2 * hidden, to.recurrent_bias);
  }
  if (to.peephole) {
    RecurrentRun<T> run = run_;
    run.gates = delta;
    kernel.recurrent.peephole(context, run, to.peephole);
  }
  if (settings_.omega > 0) add_omega(context, to.recurrent_weight);
}

// Omega = mean over steps and sequences of (|(delta_t+1 U^T) f'|^2 / |delta_t+1|^2 - 1)^2, and its gradient by U with
// the deltas taken as constants (Pascanu, Mikolov, Bengio 2013, equations 9 and 10); where |delta|^2 is under 1e-20 of
// the largest, the direction is not known and the step is left out.
template <class T>
void Recurrence<T>::add_omega(Context context, T* drecurrent_weight) {
  const auto& kernel = kernels<T>();
  const Index hidden = settings_.hidden, batch = run_.batch, pairs = steps_ > 0 ? (steps_ - 1) * batch : 0;
  const T* const delta = (dgates_ ? dgates_ : run_.gates) + batch * hidden;
  const Matrix<T> v = {spare_, pairs, hidden, hidden};
  const Matrix<const T> after = {run_.states + batch * hidden, pairs, hidden, hidden};
  omega_ = 0;
  if (pairs == 0) return;
  const Activation f = {settings_.activation, 0};
  kernel.dense.backward_input(context, {delta, pairs, hidden, hidden},
                              {parameters_.recurrent_weight, hidden, hidden, hidden}, {f, Saved::output, after}, v);
  std::vector<double> sizes(static_cast<std::size_t>(pairs)), ratios(static_cast<std::size_t>(pairs));
  for_each_task(context, (pairs + 255) / 256, [&](Index group) {
    for (Index row = group * 256; row < std::min(pairs, group * 256 + 256); ++row) {
      double size = 0, back = 0;
      for (Index j = 0; j < hidden; ++j) {
        const double d = static_cast<double>(delta[row * hidden + j]),
                     w = static_cast<double>(spare_[row * hidden + j]);
        size += d * d;
        back += w * w;
      }
      sizes[static_cast<std::size_t>(row)] = size;
      ratios[static_cast<std::size_t>(row)] = size > 0 ? back / size : 0;
    }
  });
  const double least = 1e-20 * *std::max_element(sizes.begin(), sizes.end());
  Index counted = 0;
  for (std::size_t row = 0; row < sizes.size(); ++row) {
    if (!(sizes[row] > least)) continue;
    omega_ += (ratios[row] - 1) * (ratios[row] - 1);
    ++counted;
  }
  if (counted == 0) return;
  omega_ /= static_cast<double>(counted);
  // d Omega / d U = sum of (f' v)^T delta 4 (ratio - 1) / |delta|^2, over the count.
  kernel.activation.backward(context, f, Saved::output, {spare_, pairs, hidden, hidden}, after, v);
  for (Index row = 0; row < pairs; ++row) {
    const auto k = static_cast<std::size_t>(row);
    const double factor =
        sizes[k] > least ? settings_.omega * 4 * (ratios[k] - 1) / (sizes[k] * static_cast<double>(counted)) : 0;
    for (Index j = 0; j < hidden; ++j)
      spare_[row * hidden + j] = static_cast<T>(factor * static_cast<double>(spare_[row * hidden + j]));
  }
  T* const sum = spare_ + aligned(pairs * hidden);
  kernel.dense.backward_weight(context, {spare_, pairs, hidden, hidden}, {delta, pairs, hidden, hidden},
                               {sum, hidden, hidden, hidden});
  kernel.residual.add(context, {sum, hidden, hidden, hidden}, {drecurrent_weight, hidden, hidden, hidden});
}

template class Recurrence<float>;
template class Recurrence<double>;

}  // namespace gradwell

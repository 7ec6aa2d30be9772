// A recurrent layer's way back through time, whole or in windows.
#include <algorithm>

#include "core/team.h"
#include "gradwell/recurrence.h"

namespace gradwell {

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
    const bool overlaps = settings_.reach > settings_.advance;
    all.push_back({overlaps ? std::clamp<Index>(end - settings_.reach, 0, from) : from, from, end});
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
    std::copy_n(run_.gates + (at + row) * wide, count * wide, window_gates_ + row * wide);
    if (gru) std::copy_n(cells + row * hidden, count * hidden, window_cells_ + row * hidden);
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
    std::fill_n(dgates_ + (t * batch + first) * gates(), count * gates(), T(0));
    if (dcells_) std::fill_n(dcells_ + (t * batch + first) * hidden, count * hidden, T(0));
  }
  // Each sequence's last state gets its gradient in the window that it ends in; what reaches the first state adds up.
  T* const last = last_;
  T* const last_cell = last_ + batch * hidden;
  for (Index b = first; b < first + count; ++b) {
    std::copy_n(dstate_ + b * hidden, hidden, last + b * hidden);
    if (lstm) std::copy_n(dcell_ + b * hidden, hidden, last_cell + b * hidden);
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
        std::copy_n(source, inputs, to);
      } else {
        for (Index j = 0; j < inputs; ++j) to[j] += source[j];
      }
    }
  });
}

#define GRADWELL_INSTANTIATE(T)                                                                           \
  template RecurrentRun<T> Recurrence<T>::part(const Window&, T*, T*) const;                              \
  template std::vector<Recurrence<T>::Window> Recurrence<T>::windows() const;                             \
  template void Recurrence<T>::go_back(Context, const Window&, Index, Index, Sequence<const T>, double*); \
  template void Recurrence<T>::backward(Context, Index, Index, Sequence<const T>, double*);               \
  template void Recurrence<T>::input_gradient(Context, Index, Index, Sequence<T>, bool);
GRADWELL_INSTANTIATE(float)
GRADWELL_INSTANTIATE(double)

}  // namespace gradwell

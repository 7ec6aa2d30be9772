// The gradients of a recurrent layer's weights, and Pascanu's regulariser.
#include <algorithm>
#include <cmath>
#include <vector>

#include "core/team.h"
#include "gradwell/recurrence.h"
#include "program_sizes.h"

namespace gradwell {

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
  T* const own = dcells_ && settings_.kind == CellKind::gru ? dcells_ : run_.cells;
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
  // Of each row: |delta| and |delta|^2 over that of its largest element, which keeps the squares within range.
  std::vector<double> norms(static_cast<std::size_t>(pairs)), ratios(norms.size());
  for_each_task(context, (pairs + 255) / 256, [&](Index group) {
    for (Index row = group * 256; row < std::min(pairs, group * 256 + 256); ++row) {
      const auto k = static_cast<std::size_t>(row);
      double most = 0, size = 0, back = 0;
      for (Index j = 0; j < hidden; ++j) most = std::max(most, std::fabs(static_cast<double>(delta[row * hidden + j])));
      for (Index j = 0; most > 0 && j < hidden; ++j) {
        const double d = static_cast<double>(delta[row * hidden + j]) / most;
        const double w = static_cast<double>(spare_[row * hidden + j]) / most;
        size += d * d;
        back += w * w;
      }
      norms[k] = most * std::sqrt(size);
      ratios[k] = size > 0 ? back / size : 0;
    }
  });
  const double least = 1e-10 * *std::max_element(norms.begin(), norms.end());
  Index counted = 0;
  for (std::size_t row = 0; row < norms.size(); ++row) {
    if (!(norms[row] > least)) continue;
    omega_ += (ratios[row] - 1) * (ratios[row] - 1);
    ++counted;
  }
  if (counted == 0) return;
  omega_ /= static_cast<double>(counted);
  // d Omega / d U = sum of (f' v)^T delta 4 (ratio - 1) / |delta|^2, over the count.
  kernel.activation.backward(context, f, Saved::output, {spare_, pairs, hidden, hidden}, after, v);
  for (Index row = 0; row < pairs; ++row) {
    const auto k = static_cast<std::size_t>(row);
    const bool counts = norms[k] > least;
    const double share = settings_.omega * 4 * (ratios[k] - 1) / static_cast<double>(counted);
    for (Index j = 0; j < hidden; ++j) {
      T& element = spare_[row * hidden + j];
      element = counts ? static_cast<T>(share * (static_cast<double>(element) / norms[k]) / norms[k]) : T(0);
    }
  }
  T* const sum = spare_ + aligned(pairs * hidden);
  kernel.dense.backward_weight(context, {spare_, pairs, hidden, hidden}, {delta, pairs, hidden, hidden},
                               {sum, hidden, hidden, hidden});
  kernel.residual.add(context, {sum, hidden, hidden, hidden}, {drecurrent_weight, hidden, hidden, hidden});
}

#define GRADWELL_INSTANTIATE(T)                                                  \
  template void Recurrence<T>::input_back(Context, Index, Index);                \
  template void Recurrence<T>::norm_gradients(Context, RecurrenceParameters<T>); \
  template void Recurrence<T>::add_omega(Context, T*);                           \
  template void Recurrence<T>::gradients(Context, RecurrenceParameters<T>);
GRADWELL_INSTANTIATE(float)
GRADWELL_INSTANTIATE(double)

}  // namespace gradwell

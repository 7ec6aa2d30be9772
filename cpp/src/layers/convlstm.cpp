#include "layers/convlstm.h"

#include <algorithm>
#include <limits>

#include "layers/recurrent.h"

namespace gradwell {

template <class T>
ConvLstmLayer<T>::ConvLstmLayer(int stage, ConvLstmSettings settings, const std::vector<Slice>& slices)
    : Layer<T>(stage, settings.steps * settings.channels * settings.height * settings.width,
               settings.filters * settings.height * settings.width * (settings.sequences ? settings.steps : 1)),
      s_(settings),
      back_(static_cast<std::size_t>(2 * settings.steps)) {
  weight_.offset = slices[settings.weight].offset;
  recurrent_.offset = slices[settings.recurrent_weight].offset;
  if (settings.bias >= 0) bias_.offset = slices[static_cast<std::size_t>(settings.bias)].offset;
}

template <class T>
void ConvLstmLayer<T>::bind_parameters(T* parameters, T* gradients) {
  for (Part* part : {&weight_, &recurrent_, &bias_}) {
    if (part->offset < 0) continue;
    part->value = parameters + part->offset;
    part->gradient = gradients + part->offset;
  }
}

template <class T>
void ConvLstmLayer<T>::bind_memory(T* kept, Index batch, Index stride) {
  Layer<T>::bind_memory(kept, batch, stride);
  const Index rows = batch * area(), f = s_.filters, widest = around(std::max(s_.channels, f));
  gates_ = Block<T>(s_.steps * rows * 4 * f);
  states_ = Block<T>((s_.steps + 1) * rows * f);
  cells_ = Block<T>((s_.steps + 1) * rows * f);
  x_ = Block<T>(rows * std::max(s_.channels, f));
  x_rows_ = Block<T>(rows * around(s_.channels));
  h_rows_ = Block<T>(rows * around(f));
  product_ = Block<T>(rows * std::max(4 * f, widest));
  dh_ = Block<T>(rows * f);
  dc_ = Block<T>(rows * f);
  sums_ = Block<T>((around(s_.channels) + around(f) + 1) * 4 * f);
  lengths_ = Block<Index>(rows);
  norms_ = Block<double>(time_quantities(CellKind::lstm) * s_.steps * rows);
  const auto& kernel = kernels<T>().recurrent;  // the step's own product is one with zeros
  panels_ = Block<T>(kernel.panel_numbers(CellKind::lstm, 0, f, false));
  back_panels_ = Block<T>(kernel.panel_numbers(CellKind::lstm, 0, f, true));
}

template <class T>
void ConvLstmLayer<T>::begin(const Pass<T>& pass, Index batch) {
  batch_ = batch;
  for (Index row = 0; row < pixels(); ++row)
    lengths_.data()[row] = pass.lengths ? pass.lengths[row / area()] : s_.steps;
}

// One step of all pixels.
template <class T>
RecurrentRun<T> ConvLstmLayer<T>::run(Index step, const T* panels) const {
  const Index rows = pixels(), f = s_.filters;
  RecurrentRun<T> run = {};
  run.kind = CellKind::lstm;
  run.batch = rows;
  run.steps = 1;
  run.hidden = f;
  run.origin = step;
  run.whole = s_.steps;
  run.lengths = lengths_.data();
  run.panels = panels;
  run.gates = gates_.data() + step * rows * 4 * f;
  run.states = states_.data() + step * rows * f;
  run.cells = cells_.data() + step * rows * f;
  return run;
}

// The neighbourhoods of a step's input and of the state before it.
template <class T>
void ConvLstmLayer<T>::gather(const Pass<T>& pass, Matrix<const T> x, Index step) {
  for (Index b = 0; b < batch_; ++b)
    for (Index c = 0; c < s_.channels; ++c) {
      const T* const from = x.data + b * x.stride + (step * s_.channels + c) * area();
      for (Index p = 0; p < area(); ++p) x_.data()[(b * area() + p) * s_.channels + c] = from[p];
    }
  const auto& kernel = pass.kernels.convolution;
  kernel.neighbourhoods(pass.context, image(s_.channels), x_.data(), x_rows_.data());
  kernel.neighbourhoods(pass.context, image(s_.filters), states_.data() + step * pixels() * s_.filters, h_rows_.data());
}

template <class T>
void ConvLstmLayer<T>::forward(const Pass<T>& pass, Matrix<const T> x, Rows rows) {
  const Index f = s_.filters, wide = 4 * f, n = pixels(), of_x = around(s_.channels), of_h = around(f);
  std::fill_n(states_.data(), n * f, T(0));
  std::fill_n(cells_.data(), n * f, T(0));
  for (Index t = 0; t < s_.steps; ++t) {
    gather(pass, x, t);
    const RecurrentRun<T> step = run(t, panels_.data());
    const auto multiply = [&](const T* from, Index deep, const T* weight, const T* bias, T* to) {
      pass.kernels.dense.forward(pass.context, {from, n, deep, deep}, {weight, deep, wide, wide}, bias,
                                 {ActivationKind::identity, 0}, {nullptr, 0, 0, 0}, {to, n, wide, wide});
    };
    multiply(x_rows_.data(), of_x, weight_.value, bias_.value, step.gates);
    multiply(h_rows_.data(), of_h, recurrent_.value, nullptr, product_.data());
    pass.kernels.residual.add(pass.context, {product_.data(), n, wide, wide}, {step.gates, n, wide, wide});
    pass.kernels.recurrent.forward(pass.context, step, 0, n, {nullptr, 0, 0});
  }
  const Index first = s_.sequences ? 0 : s_.steps - 1;
  for (Index b = 0; b < batch_; ++b)
    for (Index t = first; t < s_.steps; ++t)
      for (Index c = 0; c < f; ++c) {
        const T* const from = states_.data() + ((t + 1) * n + b * area()) * f + c;
        T* const to = this->y_ + b * this->stride_ + ((t - first) * f + c) * area();
        const bool there = !s_.sequences || t < lengths_.data()[b * area()];
        for (Index p = 0; p < area(); ++p) to[p] = there ? from[p * f] : T(0);
      }
  if (pass.recorder) pass.recorder->activation(pass, this->stage_, rows, as_const(this->y(rows)));
}

template <class T>
void ConvLstmLayer<T>::backward_activation(const Pass<T>& pass, Matrix<const T>, Rows rows) {
  if (pass.recorder) pass.recorder->error(pass, this->stage_, rows, as_const(this->error_rows(rows)));
}

template <class T>
void ConvLstmLayer<T>::step_back(const Pass<T>& pass, Matrix<const T> x, Index t, Matrix<T> dx) {
  const Index f = s_.filters, wide = 4 * f, n = pixels(), of_x = around(s_.channels), of_h = around(f);
  const auto& kernels = pass.kernels;
  const Index first = s_.sequences ? 0 : s_.steps - 1;
  if (pass.recorder && t + 1 < s_.steps) {
    back_[static_cast<std::size_t>(t)] = kernels.clipping.norm(pass.context, dh_.data(), n * f);
    back_[static_cast<std::size_t>(s_.steps + t)] = kernels.clipping.norm(pass.context, dc_.data(), n * f);
  }
  for (Index b = 0; t >= first && b < batch_; ++b)
    for (Index c = 0; c < f; ++c) {
      const bool there = !s_.sequences || t < lengths_.data()[b * area()];
      const T* const from = this->error_ + b * this->stride_ + ((t - first) * f + c) * area();
      for (Index p = 0; there && p < area(); ++p) dh_.data()[(b * area() + p) * f + c] += from[p];
    }
  const RecurrentRun<T> step = run(t, back_panels_.data());
  kernels.recurrent.backward(pass.context, step, 0, n, {nullptr, 0, 0}, 0, dh_.data(), dc_.data(),
                             pass.recorder ? norms_.data() : nullptr);
  const Matrix<const T> delta = {step.gates, n, wide, wide};
  gather(pass, x, t);
  T *const dw = sums_.data(), *const du = dw + of_x * wide, *const db = du + of_h * wide;
  kernels.recurrent.gradients(pass.context, {x_rows_.data(), n, of_x, of_x}, {h_rows_.data(), n, of_h, of_h}, delta,
                              {dw, of_x, wide, wide}, {du, of_h, wide, wide}, db);
  const auto add = [&](const T* from, Index count, T* to) {
    if (to) kernels.residual.add(pass.context, {from, 1, count, count}, {to, 1, count, count});
  };
  add(dw, of_x * wide, weight_.gradient);
  add(du, of_h * wide, recurrent_.gradient);
  add(db, wide, bias_.gradient);
  const auto back = [&](const T* weight, Index deep) {
    kernels.dense.backward_input(pass.context, delta, {weight, deep, wide, wide}, {}, {product_.data(), n, deep, deep});
  };
  back(recurrent_.value, of_h);
  kernels.convolution.add_neighbourhoods(pass.context, image(f), product_.data(), dh_.data());
  if (!dx.data) return;
  back(weight_.value, of_x);
  std::fill_n(x_.data(), n * s_.channels, T(0));
  kernels.convolution.add_neighbourhoods(pass.context, image(s_.channels), product_.data(), x_.data());
  for (Index b = 0; b < batch_; ++b)
    for (Index c = 0; c < s_.channels; ++c) {
      T* const to = dx.data + b * dx.stride + (t * s_.channels + c) * area();
      for (Index p = 0; p < area(); ++p) to[p] = x_.data()[(b * area() + p) * s_.channels + c];
    }
}

template <class T>
void ConvLstmLayer<T>::go_back(const Pass<T>& pass, Matrix<const T> x, Matrix<T> dx) {
  const Index f = s_.filters, wide = 4 * f;
  std::fill_n(dh_.data(), pixels() * f, T(0));
  std::fill_n(dc_.data(), pixels() * f, T(0));
  std::fill_n(weight_.gradient, around(s_.channels) * wide, T(0));
  std::fill_n(recurrent_.gradient, around(f) * wide, T(0));
  if (bias_.gradient) std::fill_n(bias_.gradient, wide, T(0));
  std::fill(back_.begin(), back_.end(), 0.0);
  for (Index t = s_.steps - 1; t >= 0; --t) step_back(pass, x, t, dx);
}

template <class T>
void ConvLstmLayer<T>::backward_input(const Pass<T>& pass, Matrix<const T> x, Rows rows, Derivative<T> below,
                                      Matrix<T> dx) {
  go_back(pass, x, dx);
  this->differentiate(pass, below, rows_of(dx, rows));
}

template <class T>
void ConvLstmLayer<T>::backward_end(const Pass<T>& pass, Matrix<const T> x, Rows) {
  go_back(pass, x, {nullptr, 0, 0, 0});
}

template <class T>
void ConvLstmLayer<T>::make_sums(const Pass<T>& pass) {
  for (Index q = 0; pass.recorder && q < time_quantities(CellKind::lstm); ++q)
    for (Index t = 0; t < s_.steps; ++t) {
      const bool came_back = q == 1 || q == 3;
      const auto k = static_cast<std::size_t>(q == 1 ? t : s_.steps + t);
      pass.recorder->time(came_back ? back_[k] : joint_norm(norms_.data() + (q * s_.steps + t) * pixels(), pixels()));
    }
  if (pass.recorder) pass.recorder->time(std::numeric_limits<double>::quiet_NaN());
}

template <class T>
void ConvLstmLayer<T>::explain_forward(const Pass<T>& pass, Matrix<const T> x, Producer& producer) {
  const Index wide = 4 * s_.filters;
  producer.operation = "convlstm_forward";
  producer.values = {
      {"x", measure(pass, x)},
      {"weight", measure(pass, Matrix<const T>{weight_.value, around(s_.channels), wide, wide})},
      {"recurrent_weight", measure(pass, Matrix<const T>{recurrent_.value, around(s_.filters), wide, wide})}};
}

template class ConvLstmLayer<float>;
template class ConvLstmLayer<double>;

}  // namespace gradwell

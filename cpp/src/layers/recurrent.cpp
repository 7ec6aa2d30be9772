#include "layers/recurrent.h"

#include <algorithm>
#include <cmath>

#include "gradwell/check.h"
#include "layers/activation.h"

namespace gradwell {
namespace {

// Names of the second direction's parameters and states begin so.
std::string prefix(std::size_t direction) {
  return direction == 0 ? "" : "backward_";
}

}  // namespace

template <class T>
RecurrentLayer<T>::RecurrentLayer(int stage, Index steps, const std::vector<Slice>& slices,
                                  std::vector<RecurrenceSettings> directions, const std::vector<RecurrentSlices>& where,
                                  bool sequences, bool stateful)
    : Layer<T>(stage, steps * directions[0].inputs,
               directions[0].hidden * static_cast<Index>(directions.size()) * (sequences ? steps : 1)),
      steps_(steps),
      sequences_(sequences),
      stateful_(stateful) {
  const auto offset = [&](int slice) { return slice < 0 ? Index{-1} : slices[static_cast<std::size_t>(slice)].offset; };
  for (std::size_t d = 0; d < directions.size(); ++d) {
    Direction direction;
    direction.recurrence = std::make_unique<Recurrence<T>>(directions[d], RecurrenceParameters<T>{});
    direction.offsets = {
        offset(where[d].weight),         offset(where[d].recurrent_weight), offset(where[d].bias),
        offset(where[d].recurrent_bias), offset(where[d].peephole),         offset(where[d].gain),
        offset(where[d].recurrent_gain), offset(where[d].cell_gain),        offset(where[d].cell_shift)};
    directions_.push_back(std::move(direction));
  }
}

template <class T>
void RecurrentLayer<T>::bind_parameters(T* parameters, T* gradients) {
  for (Direction& d : directions_) {
    const auto in = [&](T* block) {
      const auto at = [&](Index offset) { return offset < 0 ? nullptr : block + offset; };
      return RecurrenceParameters<T>{
          at(d.offsets.weight),         at(d.offsets.recurrent_weight), at(d.offsets.bias),
          at(d.offsets.recurrent_bias), at(d.offsets.peephole),         at(d.offsets.gain),
          at(d.offsets.recurrent_gain), at(d.offsets.cell_gain),        at(d.offsets.cell_shift)};
    };
    d.recurrence->bind(in(parameters));
    d.gradients = in(gradients);
  }
}

template <class T>
void RecurrentLayer<T>::bind_memory(T* kept, Index batch, Index stride) {
  Layer<T>::bind_memory(kept, batch, stride);
  for (Direction& d : directions_) {
    d.recurrence->reserve(batch, steps_);
    d.norms = Block<double>(time_quantities(d.recurrence->settings().kind) * steps_ * batch);
  }
}

template <class T>
bool RecurrentLayer<T>::bounded() const {
  const RecurrenceSettings& s = directions_[0].recurrence->settings();
  return s.kind == CellKind::lstm || (s.kind == CellKind::rnn && s.activation != ActivationKind::relu);
}

template <class T>
void RecurrentLayer<T>::begin(const Pass<T>& pass, Index batch) {
  batch_ = batch;
  const bool carries = stateful_ && pass.mode.carries && kept_rows_ > 0;
  check(!carries || kept_rows_ == batch, "recurrent", "the batch has ", batch, batch == 1 ? " row" : " rows",
        " but the kept state ", kept_rows_, "; needs as many, or reset_states()");
  for (Direction& d : directions_) {
    d.recurrence->start(pass.context, batch, pass.lengths, pass.mode.goes_back);
    if (!carries) continue;
    std::copy_n(d.state.data(), batch * hidden(), d.recurrence->first_state());
    if (d.cell.size() > 0) std::copy_n(d.cell.data(), batch * hidden(), d.recurrence->first_cell());
  }
  fresh_ = stateful_ && pass.mode.carries;
}

template <class T>
void RecurrentLayer<T>::forward(const Pass<T>& pass, Matrix<const T> x, Rows rows) {
  const Index width = hidden() * static_cast<Index>(directions_.size());
  for (std::size_t k = 0; k < directions_.size(); ++k) {
    Recurrence<T>& r = *directions_[k].recurrence;
    const Index inputs = r.settings().inputs, place = static_cast<Index>(k) * hidden();
    const Sequence<T> y = {sequences_ ? this->y_ + place : nullptr, this->stride_, width};
    r.forward(pass.context, {x.data, x.stride, inputs}, rows.first, rows.count, y);
    for (Index b = rows.first; !sequences_ && b < rows.first + rows.count; ++b)
      std::copy_n(r.last_state() + b * hidden(), hidden(), this->y_ + b * this->stride_ + place);
  }
  if (!pass.recorder) return;
  const Matrix<const T> to = as_const(this->y(rows));
  const RecurrenceSettings& s = directions_[0].recurrence->settings();
  const bool plain = s.kind == CellKind::rnn;  // of the others, h tells little of its gates
  ActivationPart<T>({plain ? s.activation : ActivationKind::identity, 0}, nullptr)
      .record_forward(pass, this->stage_, rows, to, to);
}

// The record's error is dC/dy; what becomes of it step by step is the time record's.
template <class T>
void RecurrentLayer<T>::backward_activation(const Pass<T>& pass, Matrix<const T>, Rows rows) {
  if (pass.recorder) pass.recorder->error(pass, this->stage_, rows, as_const(this->error_rows(rows)));
}

template <class T>
void RecurrentLayer<T>::go_back(const Pass<T>& pass, Rows rows) {
  const Index width = hidden() * static_cast<Index>(directions_.size());
  for (std::size_t k = 0; k < directions_.size(); ++k) {
    Direction& d = directions_[k];
    const Index place = static_cast<Index>(k) * hidden();
    const Sequence<const T> dy = {sequences_ ? this->error_ + place : nullptr, this->stride_, width};
    for (Index b = rows.first; !sequences_ && b < rows.first + rows.count; ++b)
      std::copy_n(this->error_ + b * this->stride_ + place, hidden(), d.recurrence->state_gradient() + b * hidden());
    d.recurrence->backward(pass.context, rows.first, rows.count, dy, pass.recorder ? d.norms.data() : nullptr);
  }
}

template <class T>
void RecurrentLayer<T>::backward_input(const Pass<T>& pass, Matrix<const T>, Rows rows, Derivative<T> below,
                                       Matrix<T> dx) {
  go_back(pass, rows);
  for (std::size_t k = 0; k < directions_.size(); ++k) {
    Recurrence<T>& r = *directions_[k].recurrence;
    r.input_gradient(pass.context, rows.first, rows.count, {dx.data, dx.stride, r.settings().inputs}, k > 0);
  }
  this->differentiate(pass, below, rows_of(dx, rows));
}

template <class T>
void RecurrentLayer<T>::backward_end(const Pass<T>& pass, Matrix<const T>, Rows rows) {
  go_back(pass, rows);
}

template <class T>
void RecurrentLayer<T>::make_sums(const Pass<T>& pass) {
  for (std::size_t k = 0; k < directions_.size(); ++k) {
    directions_[k].recurrence->gradients(pass.context, directions_[k].gradients);
    if (pass.recorder) record_time(pass, k);
  }
}

// Norms over the batch, sequence by sequence in order.
template <class T>
void RecurrentLayer<T>::record_time(const Pass<T>& pass, std::size_t direction) const {
  const Direction& d = directions_[direction];
  const Index quantities = time_quantities(d.recurrence->settings().kind);
  for (Index q = 0; q < quantities; ++q)
    for (Index t = 0; t < steps_; ++t)
      pass.recorder->time(joint_norm(d.norms.data() + (q * steps_ + t) * batch_, batch_));
  pass.recorder->time(d.recurrence->omega());
}

template <class T>
std::vector<std::string> RecurrentLayer<T>::state_names() const {
  std::vector<std::string> all;
  const bool lstm = directions_[0].recurrence->settings().kind == CellKind::lstm;
  for (std::size_t k = 0; stateful_ && k < directions_.size(); ++k) {
    all.push_back(prefix(k) + "state");
    if (lstm) all.push_back(prefix(k) + "cell");
  }
  return all;
}

template <class T>
std::vector<KeptState<T>> RecurrentLayer<T>::kept_states() {
  std::vector<KeptState<T>> all;
  if (kept_rows_ == 0) return all;
  for (const std::string& name : state_names()) all.push_back({name, kept(name).data(), kept_rows_, hidden()});
  return all;
}

// The block that a name of state_names stands for.
template <class T>
Block<T>& RecurrentLayer<T>::kept(const std::string& name) {
  for (std::size_t k = 0; k < directions_.size(); ++k) {
    if (name == prefix(k) + "state") return directions_[k].state;
    if (name == prefix(k) + "cell") return directions_[k].cell;
  }
  fail("restore", "there is no state ", name);
}

template <class T>
void RecurrentLayer<T>::keep_state(const std::string& name, Index rows, const T* from) {
  kept(name) = Block<T>(rows * hidden());
  std::copy_n(from, rows * hidden(), kept(name).data());
  kept_rows_ = rows;
}

template <class T>
void RecurrentLayer<T>::forget_state() {
  kept_rows_ = 0;
  fresh_ = false;
}

template <class T>
void RecurrentLayer<T>::commit() {
  if (!fresh_) return;
  fresh_ = false;
  for (Direction& d : directions_) {
    const bool cell = d.recurrence->settings().kind == CellKind::lstm;
    if (d.state.size() != batch_ * hidden()) {
      d.state = Block<T>(batch_ * hidden());
      d.cell = cell ? Block<T>(batch_ * hidden()) : Block<T>();
    }
    std::copy_n(d.recurrence->last_state(), batch_ * hidden(), d.state.data());
    if (cell) std::copy_n(d.recurrence->last_cell(), batch_ * hidden(), d.cell.data());
  }
  kept_rows_ = batch_;
}

template <class T>
void RecurrentLayer<T>::describe(StagePlan& plan) const {
  const RecurrenceSettings& s = directions_[0].recurrence->settings();
  if (stateful_) plan.reason = "a stateful layer";
  if (s.normalises) plan.reason = "an LSTM with layer normalisation";
  if (s.advance > 0) plan.reason = "truncated backpropagation";
  if (s.omega > 0) plan.reason = "Pascanu's regulariser";
  if (!plan.reason.empty()) return;
  plan.kind = StageKind::recurrent;
  plan.cell = s.kind;
  plan.cell_activation = s.activation;
  plan.hidden = s.hidden;
  plan.time_steps = steps_;
  plan.sequences = sequences_;
  for (const Direction& d : directions_)
    plan.directions.push_back({d.offsets.weight, d.offsets.recurrent_weight, d.offsets.bias, d.offsets.recurrent_bias,
                               d.offsets.peephole, d.recurrence->settings().reverse});
}

template <class T>
void RecurrentLayer<T>::explain_forward(const Pass<T>& pass, Matrix<const T> x, Producer& producer) {
  static const char* const names[] = {"rnn_forward", "lstm_forward", "gru_forward", "gru_forward"};
  const RecurrenceSettings& s = directions_[0].recurrence->settings();
  producer.operation = names[static_cast<int>(s.kind)];
  producer.values = {{"x", measure(pass, x)}};
  const Index wide = gates_of(s.kind) * s.hidden;
  for (std::size_t k = 0; k < directions_.size(); ++k) {
    const RecurrenceParameters<T>& p = directions_[k].recurrence->parameters();
    const auto add = [&](const char* name, const T* values, Index count) {
      if (values)
        producer.values.push_back({prefix(k) + name, measure(pass, Matrix<const T>{values, 1, count, count})});
    };
    add("weight", p.weight, s.inputs * wide);
    add("recurrent_weight", p.recurrent_weight, s.hidden * wide);
    add("bias", p.bias, wide);
    add("recurrent_bias", p.recurrent_bias, s.hidden);
    add("peephole", p.peephole, 3 * s.hidden);
    add("gain", p.gain, wide);
    add("recurrent_gain", p.recurrent_gain, wide);
    add("cell_gain", p.cell_gain, s.hidden);
    add("cell_shift", p.cell_shift, s.hidden);
  }
}

template class RecurrentLayer<float>;
template class RecurrentLayer<double>;

}  // namespace gradwell

// A recurrent layer in one direction: its memory, its passes over a batch, its gradients.
//
// Sequences come and go as they lie; inside they lie time-major (recurrent.h). The input product of all steps is one
// matrix product, the steps follow without meeting another thread, and the gradients of the weights are one product
// over time each. Parts of a batch may go through `forward` and `backward` at the same time, on several threads.
#pragma once

#include <memory>
#include <vector>

#include "gradwell/kernels.h"
#include "gradwell/memory.h"

namespace gradwell {

template <class T>
struct RecurrenceParameters {
  T* weight;            // (inputs, gates * hidden)
  T* recurrent_weight;  // (hidden, gates * hidden)
  T* bias;              // (gates * hidden) or null
  T* recurrent_bias;    // gru: (hidden) or null
  T* peephole;          // lstm: (3, hidden) or null
  // lstm with layer normalisation: g_x and g_h (4 * hidden), g_c and b_c (hidden).
  T* gain = nullptr;
  T* recurrent_gain = nullptr;
  T* cell_gain = nullptr;
  T* cell_shift = nullptr;
};

constexpr double norm_epsilon = 1e-5;  // added to variances

struct RecurrenceSettings {
  CellKind kind = CellKind::lstm;
  ActivationKind activation = ActivationKind::tanh;
  Index inputs = 1, hidden = 1;
  bool reverse = false;
  // Truncated backpropagation (Williams, Peng 1990): every `advance` steps the errors of these steps go back `reach`
  // steps; 0: through all.
  Index advance = 0, reach = 0;
  bool normalises = false;  // lstm only; not with windows that overlap
  double omega = 0;         // weight of Pascanu's regulariser; rnn only
};

template <class T>
class Recurrence {
 public:
  Recurrence(RecurrenceSettings settings, RecurrenceParameters<T> parameters);
  ~Recurrence();

  void bind(RecurrenceParameters<T> parameters) { parameters_ = parameters; }
  // Memory for so many sequences of so many steps.
  void reserve(Index batch, Index steps);

  // Before a pass: how many sequences, of which lengths (null: all whole); the first states are zeros. The weights are
  // packed, for the way back too where it `trains`.
  void start(Context context, Index batch, const Index* lengths, bool trains);
  T* first_state() { return run_.states; }
  T* first_cell() { return run_.cells; }
  const T* last_state() const { return run_.states + steps_ * run_.batch * settings_.hidden; }
  const T* last_cell() const { return run_.cells + steps_ * run_.batch * settings_.hidden; }
  void forward(Context context, Sequence<const T> x, Index first, Index count, Sequence<T> y);

  // (batch, hidden): gradients of the last state, zero after `start`; after `backward`, of the first.
  T* state_gradient() { return dstate_; }
  T* cell_gradient() { return dcell_; }
  // norms (time_quantities, steps, batch) or null.
  void backward(Context context, Index first, Index count, Sequence<const T> dy, double* norms);
  // dx gets its gradient, or has it added.
  void input_gradient(Context context, Index first, Index count, Sequence<T> dx, bool adds);
  // When all sequences have gone back.
  void gradients(Context context, RecurrenceParameters<T> to);
  // What the last `gradients` found Pascanu's regulariser to be, its weight left out; NaN where it has none.
  double omega() const { return omega_; }
  const RecurrenceSettings& settings() const { return settings_; }
  const RecurrenceParameters<T>& parameters() const { return parameters_; }

 private:
  struct Window {
    Index begin, from, end;  // goes back from `end` to `begin`; outputs count from step `from`
  };
  Index gates() const { return gates_of(settings_.kind) * settings_.hidden; }
  Matrix<T> rows(T* data, Index first, Index count, Index columns) const {
    return {data + first * columns, count, columns, columns};
  }
  RecurrentRun<T> part(const Window& window, T* gates, T* cells) const;
  std::vector<Window> windows() const;
  void go_back(Context, const Window&, Index first, Index count, Sequence<const T> dy, double* norms);
  RecurrentNorm<T> norm(Index step) const;
  void normalise_input(Context context, Index row, Index count);
  void input_back(Context context, Index row, Index count);
  void norm_gradients(Context context, RecurrenceParameters<T> to);
  void add_omega(Context context, T* drecurrent_weight);

  RecurrenceSettings settings_;
  RecurrenceParameters<T> parameters_;
  bool fused_;  // x W is made step by step
  Index capacity_ = 0, steps_ = 0;
  void* memory_ = nullptr;
  RecurrentRun<T> run_ = {};
  T *x_ = nullptr, *dx_ = nullptr, *dgates_ = nullptr, *dcells_ = nullptr, *window_gates_ = nullptr,
    *window_cells_ = nullptr;
  T *dstate_ = nullptr, *dcell_ = nullptr, *last_ = nullptr;
  T *input_ = nullptr, *dinput_ = nullptr;  // x W before its normalisation, and its gradient
  T *u_ = nullptr, *du_ = nullptr, *c_ = nullptr, *dc_ = nullptr;
  Block<double> mean_, variance_, recurrent_scale_, cell_scale_;
  T *there_ = nullptr, *back_ = nullptr, *spare_ = nullptr;
  double omega_;
};

}  // namespace gradwell

// A recurrent layer, in one direction or two, whose outputs lie side by side. It keeps all states, or hands on the
// last.
#pragma once

#include <algorithm>
#include <cmath>

#include "gradwell/recurrence.h"
#include "layers/layer.h"

namespace gradwell {

// The norm of what has these norms part by part.
inline double joint_norm(const double* norms, Index count) {
  const double most = count > 0 ? *std::max_element(norms, norms + count) : 0;
  if (!(most > 0)) return most;
  double squares = 0;
  for (Index k = 0; k < count; ++k) squares += norms[k] / most * (norms[k] / most);
  return most * std::sqrt(squares);
}

// Positions among the slices, -1 for none.
struct RecurrentSlices {
  int weight = -1, recurrent_weight = -1, bias = -1, recurrent_bias = -1, peephole = -1;
  int gain = -1, recurrent_gain = -1, cell_gain = -1, cell_shift = -1;
};

template <class T>
class RecurrentLayer final : public Layer<T> {
 public:
  RecurrentLayer(int stage, Index steps, const std::vector<Slice>& slices, std::vector<RecurrenceSettings> directions,
                 const std::vector<RecurrentSlices>& where, bool sequences, bool stateful);

  void bind_memory(T* kept, Index batch, Index stride) override;
  void bind_parameters(T* parameters, T* gradients) override;
  std::vector<std::string> state_names() const override;
  Index state_units() const override { return hidden(); }
  std::vector<KeptState<T>> kept_states() override;
  void keep_state(const std::string& name, Index rows, const T* from) override;
  void forget_state() override;
  bool hooked() const override { return true; }
  bool sums_on_the_way() const override { return true; }
  bool bounded() const override;
  bool keeps_output() const override { return false; }  // the states are kept apart
  void begin(const Pass<T>& pass, Index batch) override;
  void forward(const Pass<T>& pass, Matrix<const T> x, Rows rows) override;
  void backward_activation(const Pass<T>& pass, Matrix<const T> x, Rows rows) override;
  void backward_input(const Pass<T>& pass, Matrix<const T> x, Rows rows, Derivative<T> below, Matrix<T> dx) override;
  void backward_end(const Pass<T>& pass, Matrix<const T> x, Rows rows) override;
  void make_sums(const Pass<T>& pass) override;
  void commit() override;
  void describe(StagePlan& plan) const override;
  void explain_forward(const Pass<T>& pass, Matrix<const T> x, Producer& producer) override;

 private:
  struct Direction {
    std::unique_ptr<Recurrence<T>> recurrence;
    struct {
      Index weight, recurrent_weight, bias, recurrent_bias, peephole, gain, recurrent_gain, cell_gain, cell_shift;
    } offsets;  // into the blocks, -1 for none
    RecurrenceParameters<T> gradients = {};
    Block<double> norms;   // (time_quantities, steps, batch)
    Block<T> state, cell;  // kept from batch to batch
  };
  Index hidden() const { return directions_[0].recurrence->settings().hidden; }
  Block<T>& kept(const std::string& name);
  void go_back(const Pass<T>& pass, Rows rows);
  void record_time(const Pass<T>& pass, std::size_t direction) const;

  Index steps_;
  bool sequences_, stateful_;
  Index batch_ = 0, kept_rows_ = 0;
  bool fresh_ = false;  // a pass has been made whose last state may be kept
  std::vector<Direction> directions_;
};

}  // namespace gradwell

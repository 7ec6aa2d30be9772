// What a layer is to the program: it says what it needs, is given its memory, and goes forward and back.
//
// A pass may be cut into blocks of rows of the batch that run at the same time; a step of the parameters into blocks of
// their rows. Whatever the blocks, the numbers are the same.
#pragma once

#include "gradwell/device.h"
#include "gradwell/program.h"
#include "recorder.h"

namespace gradwell {

// What every layer sees of one pass. `recorder` is null in a step that is not recorded; `input` is the network's.
template <class T>
struct Pass {
  Context context;
  const Kernels<T>& kernels;
  Recorder<T>* recorder;
  Mode mode = {};
  Matrix<const T> input = {nullptr, 0, 0, 0};
  const Index* lengths = nullptr;  // of the batch's sequences, or null: all are whole
  bool separate = false;           // every derivative is applied by its own layer, as where it is recorded

  bool fuses() const { return !recorder && !separate; }
};

template <class T>
Matrix<const T> as_const(Matrix<T> m) {
  return {m.data, m.rows, m.columns, m.stride};
}

template <class T>
Matrix<T> rows_of(Matrix<T> m, Rows rows) {
  return {m.data ? m.data + rows.first * m.stride : nullptr, rows.count, m.columns, m.stride};
}

template <class T>
class Layer {
 public:
  Layer(int stage, Index inputs, Index outputs) : stage_(stage), inputs_(inputs), outputs_(outputs) {}
  virtual ~Layer() = default;
  Layer(const Layer&) = delete;
  Layer& operator=(const Layer&) = delete;

  // Matrices (batch, outputs) kept from forward to the step: dC/dz, y, and z where the derivative needs it.
  virtual int kept_matrices() const { return 2; }
  virtual void bind_memory(T* kept, Index batch, Index stride) {
    stride_ = stride;
    error_ = kept;
    y_ = kept + batch * stride;
  }
  // `parameters` and `gradients` are the whole blocks.
  virtual void bind_parameters(T* parameters, T* gradients) = 0;
  // Running statistics, their names without the layer's.
  virtual std::vector<Buffer> buffers() { return {}; }

  virtual Matrix<const T> output(Index batch) const { return {y_, batch, outputs_, stride_}; }
  // dC/dy until backward_activation has made it dC/dz.
  virtual Matrix<T> error(Index batch) const { return {error_, batch, outputs_, stride_}; }
  // States that go from one batch to the next.
  virtual std::vector<std::string> state_names() const { return {}; }
  virtual Index state_units() const { return 0; }
  virtual std::vector<KeptState<T>> kept_states() { return {}; }
  virtual void keep_state(const std::string&, Index, const T*) {}
  virtual void forget_state() {}

  // Whether a row's output and error depend on no other row.
  virtual bool rows_apart() const { return true; }
  // Whether its own gradients are made by backward_activation or backward_input rather than by backward_others.
  virtual bool sums_on_the_way() const { return false; }
  // Whether |y| <= 1 whatever the input.
  virtual bool bounded() const { return false; }
  // Whether y and dC/dy are needed again once the stage above has used them.
  virtual bool keeps_output() const { return true; }
  // With |inputs| up to `input` and |errors| up to 1, each sample adds at most this to an element of its gradients; 0
  // where it has none, or makes them on the way.
  virtual double reach(double) const { return 0; }
  // What makes dC/dy the error where the product that makes dC/dy can do it at once; saved.data is null where not.
  virtual Derivative<T> derivative(Rows) const { return {}; }

  // Whether `begin` is to be called before a pass of so many rows, and `make_sums` once all rows have gone back.
  virtual bool hooked() const { return false; }
  virtual void begin(const Pass<T>&, Index) {}
  virtual void make_sums(const Pass<T>&) {}

  // x (batch, in) must stay where it is until the step is over; only `rows` of it are looked at.
  virtual void forward(const Pass<T>& pass, Matrix<const T> x, Rows rows) = 0;
  virtual void backward_activation(const Pass<T>& pass, Matrix<const T> x, Rows rows) = 0;
  // dx (batch, in) gets dC/dx, times the derivative `below` of what made x.
  virtual void backward_input(const Pass<T>& pass, Matrix<const T> x, Rows rows, Derivative<T> below, Matrix<T> dx) = 0;
  // Called instead where dC/dx is of no use.
  virtual void backward_end(const Pass<T>&, Matrix<const T>, Rows) {}

  // Parameters step in blocks of so many rows of the weight; 0 where there is none. What else there is goes with
  // the first block.
  virtual Index weight_rows() const { return 0; }
  virtual void backward_parameters(const Pass<T>&, Matrix<const T>, Rows) {}
  virtual void update_weight(const Pass<T>&, Matrix<const T>, Rows, Sgd) {}
  virtual void backward_others(const Pass<T>&, Matrix<const T>) {}
  // Called when the step has been taken: what the pass in training found becomes part of the running statistics.
  virtual void commit() {}

  // What another device needs to know to do the same; it is told of the flow between stages by the program.
  virtual void describe(StagePlan& plan) const { plan.reason = "this layer"; }

  // Operation and inputs of each part of forward, for naming the producer of a non-finite value.
  virtual void explain_forward(const Pass<T>& pass, Matrix<const T> x, Producer& producer) = 0;

 protected:
  Matrix<T> y(Rows rows) const { return rows_of(Matrix<T>{y_, 0, outputs_, stride_}, rows); }
  Matrix<T> error_rows(Rows rows) const { return rows_of(Matrix<T>{error_, 0, outputs_, stride_}, rows); }
  // Multiplies what backward_input made by the derivative below it.
  void differentiate(const Pass<T>& pass, Derivative<T> below, Matrix<T> dx) const {
    if (below.saved.data)
      pass.kernels.activation.backward(pass.context, below.activation, below.which, as_const(dx), below.saved, dx);
  }

  int stage_;
  Index inputs_, outputs_, stride_ = 0;
  T *y_ = nullptr, *error_ = nullptr;
};

template <class T>
Statistics measure(const Pass<T>& pass, Matrix<const T> m) {
  return pass.kernels.statistics.measure(pass.context, m, nullptr);
}
inline bool is_finite(const Statistics& s) {
  return s.nans + s.infs == 0;
}

}  // namespace gradwell

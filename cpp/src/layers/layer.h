// What a layer is to the program: it says what it needs, is given its memory, and goes forward and back.
#pragma once

#include "gradwell/program.h"
#include "recorder.h"

namespace gradwell {

// What every layer sees of one pass. `recorder` is null in a step that is not recorded.
template <class T>
struct Pass {
  Context context;
  const Kernels<T>& kernels;
  Recorder<T>* recorder;
};

template <class T>
class Layer {
 public:
  virtual ~Layer() = default;

  // Numbers kept for each sample between forward and backward, the output among them.
  virtual Index kept_columns() const = 0;
  virtual void bind_memory(T* kept, Index batch) = 0;
  // `parameters` and `gradients` are the whole blocks.
  virtual void bind_parameters(T* parameters, T* gradients) = 0;

  // x (batch, in) must stay where it is until backward. Returns y (batch, out).
  virtual Matrix<const T> forward(const Pass<T>& pass, Matrix<const T> x) = 0;
  // dy (batch, out) holds dC/dy and is overwritten; dx (batch, in) gets dC/dx unless its data is null.
  virtual void backward(const Pass<T>& pass, Matrix<const T> x, Matrix<T> dy, Matrix<T> dx) = 0;
  // Operation and inputs of each part of forward, for naming the producer of a non-finite value.
  virtual void explain_forward(const Pass<T>& pass, Matrix<const T> x, Producer& producer) = 0;
};

template <class T>
Matrix<const T> as_const(Matrix<T> m) {
  return {m.data, m.rows, m.columns, m.stride};
}

template <class T>
Statistics measure(const Pass<T>& pass, Matrix<const T> m) {
  return pass.kernels.statistics.measure(pass.context, m.data, m.rows * m.columns, nullptr);
}
inline bool is_finite(const Statistics& s) {
  return s.nans + s.infs == 0;
}

}  // namespace gradwell

// One stage of a network on the device: what a layer is to the program (layers/layer.h), without rows apart. Private to
// cpp/src/cuda.
//
// All matrices lie without gaps. A stage that goes over every step of a sequence by itself sees a row of the batch as
// `steps` rows of its own.
#pragma once

#include <memory>

#include "cuda/memory.h"
#include "cuda/step.h"
#include "gradwell/device.h"

namespace gradwell {
namespace cuda {

template <class T>
class CudaRecorder;

template <class T>
Matrix<const T> as_const(Matrix<T> m) {
  return {m.data, m.rows, m.columns, m.stride};
}

// One pass over a batch. Everything it points at lies on the device.
template <class T>
struct Pass {
  Queue& queue;
  Index rows;  // of the batch
  bool training;
  RunState* state;
  const Index* lengths;       // or null
  CudaRecorder<T>* recorder;  // or null
};

// The program's memory on the device.
template <class T>
struct Blocks {
  T* parameters;
  T* gradients;
  double* buffers;  // running means and variances
  T* parameter(Index offset) const { return offset < 0 ? nullptr : parameters + offset; }
  T* gradient(Index offset) const { return offset < 0 ? nullptr : gradients + offset; }
};

template <class T>
class Stage {
 public:
  Stage(int number, const StagePlan& plan, Blocks<T> blocks) : number_(number), plan_(plan), blocks_(blocks) {}
  virtual ~Stage() = default;
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;

  const StagePlan& plan() const { return plan_; }
  // Numbers kept for each row of the batch.
  virtual Index kept() const { return matrices() * width(); }
  // Memory for `batch` rows: `kept` numbers for each, and what else it allocates.
  virtual void bind(Queue& queue, T* memory, Index batch);

  Matrix<T> output(Index batch) const { return own(y_, batch); }
  // dC/dy until backward_activation has made it dC/dz.
  Matrix<T> error(Index batch) const { return own(error_, batch); }

  // Of a joint: what its branch is added to, before a pass.
  virtual void skip_is(Matrix<const T>) {}
  virtual void forward(const Pass<T>&, Matrix<const T> x) = 0;
  virtual void backward_activation(const Pass<T>&, Matrix<const T> x);
  // dx (rows, inputs) gets dC/dx.
  virtual void backward_input(const Pass<T>&, Matrix<const T> x, Matrix<T> dx) = 0;
  // Called instead where dC/dx is of no use.
  virtual void backward_end(const Pass<T>&, Matrix<const T>) {}
  // What forward and backward_activation record, of a pass that was made elsewhere.
  void record(const Pass<T>& pass, Matrix<const T> output_gradient) const;
  // What is not made on the way back of the gradients of its parameters.
  virtual void gradients(const Pass<T>&, Matrix<const T>) {}
  // What a step that goes takes over.
  virtual void commit(const Pass<T>&) {}

  // x as this stage sees it.
  Matrix<const T> rows_of(Matrix<const T> x, Index batch) const {
    return {x.data, batch * plan_.steps, plan_.inputs, plan_.inputs};
  }

 protected:
  Index width() const { return plan_.outputs * plan_.steps; }
  virtual Index matrices() const { return keeps_input() ? 3 : 2; }
  bool learned() const { return plan_.slope >= 0; }
  bool keeps_input() const { return learned() || !derivative_from_output(plan_.activation.kind); }
  bool is_identity() const { return !learned() && plan_.activation.kind == ActivationKind::identity; }
  Matrix<T> own(T* data, Index batch) const { return {data, batch * plan_.steps, plan_.outputs, plan_.outputs}; }
  Matrix<T> z(Index batch) const { return own(z_, batch); }
  Matrix<T> nothing() const { return {nullptr, 0, 0, 0}; }
  Derivative<T> derivative(Index batch) const;
  // make(activation, z, y) does both, z only where it is kept; a learned activation follows by itself.
  template <class Make>
  void activated(const Pass<T>& pass, Make&& make) const;
  void finish_forward(const Pass<T>& pass, bool slopes) const;

  int number_;
  StagePlan plan_;
  Blocks<T> blocks_;
  T *y_ = nullptr, *error_ = nullptr, *z_ = nullptr;
};

template <class T>
template <class Make>
void Stage<T>::activated(const Pass<T>& pass, Make&& make) const {
  const bool slopes = learned();
  const Activation first = slopes ? Activation{ActivationKind::identity, 0} : plan_.activation;
  if (slopes) {
    make(first, nothing(), z(pass.rows));
  } else {
    make(first, keeps_input() ? z(pass.rows) : nothing(), output(pass.rows));
  }
  finish_forward(pass, slopes);
}

// A stage of each kind; `branch` is the one whose output a joint adds to, `skip` gives what it is added to.
template <class T>
std::unique_ptr<Stage<T>> make_stage(int number, const StagePlan& plan, Blocks<T> blocks, Stage<T>* branch);
template <class T>
std::unique_ptr<Stage<T>> make_dense(int number, const StagePlan& plan, Blocks<T> blocks);
template <class T>
std::unique_ptr<Stage<T>> make_normalisation(int number, const StagePlan& plan, Blocks<T> blocks);
template <class T>
std::unique_ptr<Stage<T>> make_recurrent(int number, const StagePlan& plan, Blocks<T> blocks);

}  // namespace cuda
}  // namespace gradwell

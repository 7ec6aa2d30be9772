// Dropout: nothing in inference.
#pragma once

#include "layers/layer.h"

namespace gradwell {

template <class T>
class DropoutLayer final : public Layer<T> {
 public:
  DropoutLayer(int stage, Index units, double rate) : Layer<T>(stage, units, units), rate_(rate) {}
  int kept_matrices() const override { return 3; }
  void bind_memory(T* kept, Index batch, Index stride) override {
    Layer<T>::bind_memory(kept, batch, stride);
    mask_ = kept + 2 * batch * stride;
  }
  void bind_parameters(T*, T*) override {}
  bool keeps_output() const override { return false; }
  void forward(const Pass<T>& pass, Matrix<const T> x, Rows rows) override;
  void backward_activation(const Pass<T>& pass, Matrix<const T> x, Rows rows) override;
  void backward_input(const Pass<T>& pass, Matrix<const T> x, Rows rows, Derivative<T> below, Matrix<T> dx) override;
  void describe(StagePlan& plan) const override {
    plan.kind = StageKind::dropout;
    plan.rate = rate_;
  }
  void explain_forward(const Pass<T>& pass, Matrix<const T> x, Producer& producer) override;

 private:
  Matrix<T> mask(Rows rows) const { return rows_of(Matrix<T>{mask_, 0, this->outputs_, this->stride_}, rows); }
  double rate_;
  T* mask_ = nullptr;
};

}  // namespace gradwell

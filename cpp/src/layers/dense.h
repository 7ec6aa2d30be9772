// The dense layer with the activation that follows it: y = f(x W + b).
#pragma once

#include "layers/activation.h"

namespace gradwell {

template <class T>
class DenseLayer final : public ActivatedLayer<T> {
 public:
  // `bias` is -1 where the layer has none; both are positions among the slices.
  DenseLayer(int stage, const std::vector<Slice>& slices, std::size_t weight, int bias, ActivationPart<T> part);
  void bind_parameters(T* parameters, T* gradients) override;
  void forward(const Pass<T>& pass, Matrix<const T> x, Rows rows) override;
  void backward_input(const Pass<T>& pass, Matrix<const T> x, Rows rows, Derivative<T> below, Matrix<T> dx) override;
  double reach(double input) const override { return input < 1 ? 1 : input; }  // 1: what a bias is multiplied by
  Index weight_rows() const override;
  void backward_parameters(const Pass<T>& pass, Matrix<const T> x, Rows rows) override;
  void update_weight(const Pass<T>& pass, Matrix<const T> x, Rows rows, Sgd sgd) override;
  void backward_others(const Pass<T>& pass, Matrix<const T> x) override;
  void describe(StagePlan& plan) const override {
    plan.kind = StageKind::dense;
    plan.weight = weight_offset_;
    plan.bias = has_bias_ ? bias_offset_ : -1;
    this->part_.describe(plan);
  }
  void explain_forward(const Pass<T>& pass, Matrix<const T> x, Producer& producer) override;

 private:
  Matrix<T> weight() const { return {weight_, this->inputs_, this->outputs_, this->outputs_}; }
  Matrix<T> dweight() const { return {dweight_, this->inputs_, this->outputs_, this->outputs_}; }

  std::size_t weight_slice_;
  Index weight_offset_, bias_offset_;
  bool has_bias_;
  T *weight_ = nullptr, *bias_ = nullptr, *dweight_ = nullptr, *dbias_ = nullptr;
};

}  // namespace gradwell

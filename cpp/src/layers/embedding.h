// Rows of a table, one for each token of the input: y[t] = weight[x[t]]. Tokens come as numbers of T.
#pragma once

#include "layers/layer.h"

namespace gradwell {

template <class T>
class EmbeddingLayer final : public Layer<T> {
 public:
  EmbeddingLayer(int stage, Index steps, const Slice& weight)
      : Layer<T>(stage, steps, steps * weight.columns),
        tokens_(weight.rows),
        units_(weight.columns),
        offset_(weight.offset) {}
  void bind_parameters(T* parameters, T* gradients) override {
    weight_ = parameters + offset_;
    dweight_ = gradients + offset_;
  }
  bool keeps_output() const override { return false; }
  bool hooked() const override { return true; }
  bool sums_on_the_way() const override { return true; }
  void begin(const Pass<T>& pass, Index batch) override;
  void forward(const Pass<T>& pass, Matrix<const T> x, Rows rows) override;
  void backward_activation(const Pass<T>& pass, Matrix<const T> x, Rows rows) override;
  void backward_input(const Pass<T>& pass, Matrix<const T> x, Rows rows, Derivative<T> below, Matrix<T> dx) override;
  void make_sums(const Pass<T>& pass) override;
  void describe(StagePlan& plan) const override {
    plan.kind = StageKind::embedding;
    plan.weight = offset_;
    plan.vocabulary = tokens_;
    plan.hidden = units_;
  }
  void explain_forward(const Pass<T>& pass, Matrix<const T> x, Producer& producer) override;

 private:
  Index token(T value) const;

  Index tokens_, units_, offset_;
  Index batch_ = 0;
  Matrix<const T> x_ = {nullptr, 0, 0, 0};
  T *weight_ = nullptr, *dweight_ = nullptr;
};

}  // namespace gradwell

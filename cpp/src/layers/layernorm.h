// Layer normalisation with the activation that follows it.
#pragma once

#include "layers/normalisation.h"

namespace gradwell {

template <class T>
class LayerNormLayer final : public NormLayer<T> {
 public:
  using NormLayer<T>::NormLayer;
  void bind_memory(T* kept, Index batch, Index stride) override;
  // |x^| is at most the root of the number of units.
  double reach(double) const override { return static_cast<double>(this->outputs_); }
  void forward(const Pass<T>& pass, Matrix<const T> x, Rows rows) override;
  void backward_input(const Pass<T>& pass, Matrix<const T> x, Rows rows, Derivative<T> below, Matrix<T> dx) override;
  void backward_others(const Pass<T>& pass, Matrix<const T> x) override;
  void describe(StagePlan& plan) const override { this->describe_as(StageKind::layernorm, plan); }
  void explain_forward(const Pass<T>& pass, Matrix<const T> x, Producer& producer) override;
};

}  // namespace gradwell

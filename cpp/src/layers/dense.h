// The dense layer with the activation that follows it: y = f(x W + b).
#pragma once

#include "layers/activation.h"

namespace gradwell {

template <class T>
class DenseLayer final : public Layer<T> {
 public:
  // `bias` is null where the layer has none.
  DenseLayer(int stage, const Slice& weight, const Slice* bias, ActivationPart<T> part);
  Index kept_columns() const override { return part_.keeps_input() ? 2 * outputs_ : outputs_; }
  void bind_memory(T* kept, Index batch) override;
  void bind_parameters(T* parameters, T* gradients) override;
  Matrix<const T> forward(const Pass<T>& pass, Matrix<const T> x) override;
  void backward(const Pass<T>& pass, Matrix<const T> x, Matrix<T> dy, Matrix<T> dx) override;
  void explain_forward(const Pass<T>& pass, Matrix<const T> x, Producer& producer) override;

 private:
  Matrix<const T> weight() const { return {weight_, inputs_, outputs_, outputs_}; }

  int stage_;
  Index inputs_, outputs_;
  Index weight_offset_, bias_offset_;
  bool has_bias_;
  ActivationPart<T> part_;
  T *weight_ = nullptr, *bias_ = nullptr, *dweight_ = nullptr, *dbias_ = nullptr;
  T *y_ = nullptr, *z_ = nullptr;
};

}  // namespace gradwell

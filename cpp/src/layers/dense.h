// The dense layer with the activation that follows it: y = f(x W + b).
#pragma once

#include "layers/activation.h"

namespace gradwell {

template <class T>
class DenseLayer final : public Layer<T> {
 public:
  // `bias` is -1 where the layer has none; both are positions among the slices.
  DenseLayer(int stage, const std::vector<Slice>& slices, std::size_t weight, int bias, ActivationPart<T> part);
  int kept_matrices() const override { return part_.keeps_input() ? 3 : 2; }
  void bind_memory(T* kept, Index batch, Index stride) override;
  void bind_parameters(T* parameters, T* gradients) override;
  bool rows_apart() const override { return !part_.learned(); }
  bool bounded() const override { return part_.bounded(); }
  Derivative<T> derivative(Rows rows) const override;
  void forward(const Pass<T>& pass, Matrix<const T> x, Rows rows) override;
  void backward_activation(const Pass<T>& pass, Matrix<const T> x, Rows rows) override;
  void backward_input(const Pass<T>& pass, Rows rows, Derivative<T> below, Matrix<T> dx) override;
  Index weight_rows() const override;
  void backward_parameters(const Pass<T>& pass, Matrix<const T> x, Rows rows) override;
  void update_weight(const Pass<T>& pass, Matrix<const T> x, Rows rows, Sgd sgd) override;
  void backward_bias(const Pass<T>& pass, Index batch) override;
  void explain_forward(const Pass<T>& pass, Matrix<const T> x, Producer& producer) override;

 private:
  Matrix<T> weight() const { return {weight_, this->inputs_, this->outputs_, this->outputs_}; }
  Matrix<T> dweight() const { return {dweight_, this->inputs_, this->outputs_, this->outputs_}; }
  Matrix<T> z(Rows rows) const { return rows_of(Matrix<T>{z_, 0, this->outputs_, this->stride_}, rows); }

  std::size_t weight_slice_;
  Index weight_offset_, bias_offset_;
  bool has_bias_;
  ActivationPart<T> part_;
  T *weight_ = nullptr, *bias_ = nullptr, *dweight_ = nullptr, *dbias_ = nullptr, *z_ = nullptr;
};

}  // namespace gradwell

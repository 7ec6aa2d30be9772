// An activation inside the program: fused behind a dense layer, or a stage of its own; prelu with its slopes.
#pragma once

#include "layers/layer.h"

namespace gradwell {

const char* activation_name(ActivationKind kind);

// f and its memory of what the derivative needs. Used by every layer that ends in an activation.
template <class T>
class ActivationPart {
 public:
  // `slope` is null unless the slopes are learned.
  ActivationPart(Activation activation, const Slice* slope)
      : activation_(activation), learned_(slope != nullptr), slope_offset_(slope ? slope->offset : 0) {}

  bool learned() const { return learned_; }
  bool is_identity() const { return !learned_ && activation_.kind == ActivationKind::identity; }
  bool bounded() const {
    return !learned_ && (activation_.kind == ActivationKind::sigmoid || activation_.kind == ActivationKind::tanh);
  }
  bool keeps_input() const { return learned_ || !derivative_from_output(activation_.kind); }
  // What a kernel that fuses the activation is told; a learned one is applied afterwards.
  Activation fused() const { return learned_ ? Activation{ActivationKind::identity, 0} : activation_; }
  const char* name() const { return learned_ ? "prelu" : activation_name(activation_.kind); }
  // From z or y, as kept.
  Derivative<T> derivative(Matrix<const T> z, Matrix<const T> y) const {
    if (keeps_input()) return {fused(), Saved::input, z};
    return {fused(), Saved::output, y};
  }

  void bind_parameters(T* parameters, T* gradients) {
    slope_ = parameters + slope_offset_;
    dslope_ = gradients + slope_offset_;
  }
  // y = f(z) of `rows`, which are given; records it for `stage`.
  void forward(const Pass<T>& pass, Matrix<const T> z, Matrix<T> y) const;
  void record_forward(const Pass<T>& pass, int stage, Rows rows, Matrix<const T> z, Matrix<const T> y) const;
  // dC/dz = dC/dy f' in place; records both for `stage`.
  void backward(const Pass<T>& pass, int stage, Rows rows, Matrix<const T> z, Matrix<const T> y, Matrix<T> dy) const;

 private:
  Activation activation_;
  bool learned_;
  Index slope_offset_;
  T* slope_ = nullptr;
  T* dslope_ = nullptr;
};

template <class T>
class ActivationLayer final : public Layer<T> {
 public:
  ActivationLayer(int stage, Index units, ActivationPart<T> part) : Layer<T>(stage, units, units), part_(part) {}
  void bind_parameters(T* parameters, T* gradients) override { part_.bind_parameters(parameters, gradients); }
  bool rows_apart() const override { return !part_.learned(); }
  bool bounded() const override { return part_.bounded(); }
  // The input is the output of the layer below, which this one does not hold.
  Derivative<T> derivative(Rows) const override { return {}; }
  void forward(const Pass<T>& pass, Matrix<const T> x, Rows rows) override;
  void backward_activation(const Pass<T>& pass, Matrix<const T> x, Rows rows) override;
  void backward_input(const Pass<T>& pass, Rows rows, Derivative<T> below, Matrix<T> dx) override;
  void explain_forward(const Pass<T>& pass, Matrix<const T> x, Producer& producer) override;

 private:
  ActivationPart<T> part_;
};

}  // namespace gradwell

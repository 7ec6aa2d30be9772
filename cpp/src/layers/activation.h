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
  bool keeps_input() const { return learned_ || !derivative_from_output(activation_.kind); }
  // What a kernel that fuses the activation is told; a learned one is applied afterwards.
  Activation fused() const { return learned_ ? Activation{ActivationKind::identity, 0} : activation_; }
  const char* name() const { return learned_ ? "prelu" : activation_name(activation_.kind); }

  void bind_parameters(T* parameters, T* gradients) {
    slope_ = parameters + slope_offset_;
    dslope_ = gradients + slope_offset_;
  }
  void forward(const Pass<T>& pass, Matrix<const T> z, Matrix<T> y) const;
  // delta = dy f', in place; records both norms and the activation's health for `stage`.
  void backward(const Pass<T>& pass, int stage, Matrix<const T> z, Matrix<const T> y, Matrix<T> dy) const;

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
  ActivationLayer(int stage, Index units, ActivationPart<T> part) : stage_(stage), units_(units), part_(part) {}
  Index kept_columns() const override { return units_; }
  void bind_memory(T* kept, Index batch) override;
  void bind_parameters(T* parameters, T* gradients) override { part_.bind_parameters(parameters, gradients); }
  Matrix<const T> forward(const Pass<T>& pass, Matrix<const T> x) override;
  void backward(const Pass<T>& pass, Matrix<const T> x, Matrix<T> dy, Matrix<T> dx) override;
  void explain_forward(const Pass<T>& pass, Matrix<const T> x, Producer& producer) override;

 private:
  int stage_;
  Index units_;
  ActivationPart<T> part_;
  T* y_ = nullptr;
};

}  // namespace gradwell

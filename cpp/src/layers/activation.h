// An activation inside the program: fused behind another layer, or a stage of its own; prelu with its slopes.
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

  void describe(StagePlan& plan) const {
    plan.activation = activation_;
    plan.slope = learned_ ? slope_offset_ : -1;
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

// A layer that makes z and then y = f(z).
template <class T>
class ActivatedLayer : public Layer<T> {
 public:
  ActivatedLayer(int stage, Index inputs, Index outputs, ActivationPart<T> part)
      : Layer<T>(stage, inputs, outputs), part_(part) {}
  int kept_matrices() const override { return part_.keeps_input() ? 3 : 2; }
  void bind_memory(T* kept, Index batch, Index stride) override {
    Layer<T>::bind_memory(kept, batch, stride);
    z_ = part_.keeps_input() ? kept + 2 * batch * stride : nullptr;
  }
  void bind_parameters(T* parameters, T* gradients) override { part_.bind_parameters(parameters, gradients); }
  bool rows_apart() const override { return !part_.learned(); }
  bool sums_on_the_way() const override { return part_.learned(); }
  bool bounded() const override { return part_.bounded(); }
  bool keeps_output() const override { return !part_.is_identity(); }
  Derivative<T> derivative(Rows rows) const override {
    if (part_.learned()) return {};
    return part_.derivative(as_const(z(rows)), as_const(this->y(rows)));
  }
  void backward_activation(const Pass<T>& pass, Matrix<const T>, Rows rows) override {
    part_.backward(pass, this->stage_, rows, as_const(z(rows)), as_const(this->y(rows)), this->error_rows(rows));
  }

 protected:
  Matrix<T> z(Rows rows) const { return rows_of(Matrix<T>{z_, 0, this->outputs_, this->stride_}, rows); }
  // make(activation, z, y) has the kernel do both; a learned activation follows by itself.
  template <class Make>
  void activated(const Pass<T>& pass, Rows rows, Make&& make) const {
    const Matrix<T> to = this->y(rows), kept = z(rows);
    if (part_.learned()) {
      make(part_.fused(), Matrix<T>{nullptr, 0, 0, 0}, kept);
      part_.forward(pass, as_const(kept), to);
    } else {
      make(part_.fused(), kept, to);
    }
    part_.record_forward(pass, this->stage_, rows, as_const(kept), as_const(to));
  }

  ActivationPart<T> part_;
  T* z_ = nullptr;
};

template <class T>
class ActivationLayer final : public Layer<T> {
 public:
  ActivationLayer(int stage, Index units, ActivationPart<T> part) : Layer<T>(stage, units, units), part_(part) {}
  void bind_parameters(T* parameters, T* gradients) override { part_.bind_parameters(parameters, gradients); }
  bool rows_apart() const override { return !part_.learned(); }
  bool sums_on_the_way() const override { return part_.learned(); }
  bool bounded() const override { return part_.bounded(); }
  void forward(const Pass<T>& pass, Matrix<const T> x, Rows rows) override;
  void backward_activation(const Pass<T>& pass, Matrix<const T> x, Rows rows) override;
  void backward_input(const Pass<T>& pass, Matrix<const T> x, Rows rows, Derivative<T> below, Matrix<T> dx) override;
  void describe(StagePlan& plan) const override {
    plan.kind = StageKind::activation;
    part_.describe(plan);
  }
  void explain_forward(const Pass<T>& pass, Matrix<const T> x, Producer& producer) override;

 private:
  ActivationPart<T> part_;
};

}  // namespace gradwell

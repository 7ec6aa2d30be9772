// The joint that closes a residual block: y = f(skip + scale * branch).
//
// Its input is the branch's output; the skip connection's comes from another layer, or from the network's input. The
// branch's error is made of the joint's in its place, once the skip connection has been given it; where the branch ends
// linear and the scale is fixed, its output is added to in place too.
#pragma once

#include "layers/activation.h"

namespace gradwell {

template <class T>
class JointLayer final : public ActivatedLayer<T> {
 public:
  // `skip` is null where the block begins at the network's input; `scale_slice` is null where the scale is fixed.
  JointLayer(int stage, Index units, Layer<T>* branch, Layer<T>* skip, double scale, const Slice* scale_slice,
             ActivationPart<T> part)
      : ActivatedLayer<T>(stage, units, units, part),
        branch_(branch),
        skip_(skip),
        fixed_(static_cast<T>(scale)),
        learned_(scale_slice != nullptr),
        scale_offset_(scale_slice ? scale_slice->offset : 0) {}
  int kept_matrices() const override { return (in_place() ? 0 : 1) + (this->part_.keeps_input() ? 1 : 0); }
  void bind_memory(T* kept, Index batch, Index stride) override;
  void bind_parameters(T* parameters, T* gradients) override;
  double reach(double input) const override { return learned_ ? input * static_cast<double>(this->outputs_) : 0; }
  void forward(const Pass<T>& pass, Matrix<const T> x, Rows rows) override;
  void backward_input(const Pass<T>& pass, Matrix<const T> x, Rows rows, Derivative<T> below, Matrix<T> dx) override;
  void backward_others(const Pass<T>& pass, Matrix<const T> x) override;
  void describe(StagePlan& plan) const override {
    plan.kind = StageKind::joint;
    plan.fixed_scale = static_cast<double>(fixed_);
    plan.scale = learned_ ? scale_offset_ : -1;
    this->part_.describe(plan);
  }
  void explain_forward(const Pass<T>& pass, Matrix<const T> x, Producer& producer) override;

 private:
  bool in_place() const { return !learned_ && !branch_->keeps_output(); }
  Matrix<const T> skip(const Pass<T>& pass, Index batch) const { return skip_ ? skip_->output(batch) : pass.input; }
  T scale() const { return learned_ ? *scale_ : fixed_; }

  Layer<T>* branch_;
  Layer<T>* skip_;
  T fixed_;
  bool learned_;
  Index scale_offset_;
  T *scale_ = nullptr, *dscale_ = nullptr;
  Block<double> products_;  // by group of part_rows rows: sums of error times branch, the gradient of the scale
};

}  // namespace gradwell

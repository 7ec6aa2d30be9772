// A layer that goes over every step of a sequence by itself: a row of the batch, `steps` times as wide, is as many rows
// of the layer inside.
#pragma once

#include "layers/layer.h"

namespace gradwell {

template <class T>
class PerStepLayer final : public Layer<T> {
 public:
  PerStepLayer(int stage, Index inputs, Index outputs, Index steps, std::unique_ptr<Layer<T>> inside)
      : Layer<T>(stage, inputs, outputs), steps_(steps), inside_(std::move(inside)) {}

  int kept_matrices() const override { return inside_->kept_matrices(); }
  void bind_memory(T* kept, Index batch, Index stride) override {
    inside_->bind_memory(kept, batch * steps_, stride / steps_);
  }
  void bind_parameters(T* parameters, T* gradients) override { inside_->bind_parameters(parameters, gradients); }
  std::vector<Buffer> buffers() override { return inside_->buffers(); }
  Matrix<const T> output(Index batch) const override { return joined(inside_->output(batch * steps_)); }
  Matrix<T> error(Index batch) const override { return joined(inside_->error(batch * steps_)); }
  bool rows_apart() const override { return inside_->rows_apart(); }
  bool sums_on_the_way() const override { return inside_->sums_on_the_way(); }
  bool bounded() const override { return inside_->bounded(); }
  bool keeps_output() const override { return inside_->keeps_output(); }
  double reach(double input) const override { return inside_->reach(input) * static_cast<double>(steps_); }
  Derivative<T> derivative(Rows rows) const override {
    Derivative<T> of = inside_->derivative(split(rows));
    of.saved = joined(of.saved);
    return of;
  }

  void forward(const Pass<T>& pass, Matrix<const T> x, Rows rows) override {
    inside_->forward(pass, split(x), split(rows));
  }
  void backward_activation(const Pass<T>& pass, Matrix<const T> x, Rows rows) override {
    inside_->backward_activation(pass, split(x), split(rows));
  }
  void backward_input(const Pass<T>& pass, Matrix<const T> x, Rows rows, Derivative<T> below, Matrix<T> dx) override {
    if (below.saved.data) below.saved = split(below.saved);
    inside_->backward_input(pass, split(x), split(rows), below, split(dx));
  }
  void backward_end(const Pass<T>& pass, Matrix<const T> x, Rows rows) override {
    inside_->backward_end(pass, split(x), split(rows));
  }
  Index weight_rows() const override { return inside_->weight_rows(); }
  void backward_parameters(const Pass<T>& pass, Matrix<const T> x, Rows rows) override {
    inside_->backward_parameters(pass, split(x), rows);
  }
  void update_weight(const Pass<T>& pass, Matrix<const T> x, Rows rows, Sgd sgd) override {
    inside_->update_weight(pass, split(x), rows, sgd);
  }
  void backward_others(const Pass<T>& pass, Matrix<const T> x) override { inside_->backward_others(pass, split(x)); }
  void commit() override { inside_->commit(); }
  void describe(StagePlan& plan) const override {
    inside_->describe(plan);
    plan.steps = steps_;
  }
  void explain_forward(const Pass<T>& pass, Matrix<const T> x, Producer& producer) override {
    inside_->explain_forward(pass, split(x), producer);
  }

 private:
  // Rows of a sequence lie without gaps (stride_of in program_sizes.h).
  template <class Element>
  Matrix<Element> split(Matrix<Element> m) const {
    return {m.data, m.rows * steps_, m.columns / steps_, m.stride / steps_};
  }
  template <class Element>
  Matrix<Element> joined(Matrix<Element> m) const {
    return {m.data, m.rows / steps_, m.columns * steps_, m.stride * steps_};
  }
  Rows split(Rows rows) const { return {rows.first * steps_, rows.count * steps_}; }

  Index steps_;
  std::unique_ptr<Layer<T>> inside_;
};

}  // namespace gradwell

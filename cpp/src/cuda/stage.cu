#include "cuda/stage.h"

#include "cuda/activation.h"
#include "cuda/dropout.h"
#include "cuda/embedding.h"
#include "cuda/recorder.h"
#include "cuda/residual.h"

namespace gradwell {
namespace cuda {

template <class T>
void Stage<T>::bind(Queue&, T* memory, Index batch) {
  const auto take = [&] {
    T* const start = memory;
    memory += batch * width();
    return start;
  };
  error_ = take();
  y_ = take();
  if (keeps_input()) z_ = take();
}

template <class T>
Derivative<T> Stage<T>::derivative(Index batch) const {
  if (keeps_input()) return {plan_.activation, Saved::input, as_const(z(batch))};
  return {plan_.activation, Saved::output, as_const(output(batch))};
}

template <class T>
void Stage<T>::finish_forward(const Pass<T>& pass, bool slopes) const {
  if (slopes) prelu_forward(pass.queue, as_const(z(pass.rows)), blocks_.parameter(plan_.slope), output(pass.rows));
  if (pass.recorder && !slopes) pass.recorder->saturation(pass.queue, number_, derivative(pass.rows));
}

template <class T>
void Stage<T>::backward_activation(const Pass<T>& pass, Matrix<const T>) {
  const Matrix<T> dy = error(pass.rows);
  if (pass.recorder && !is_identity()) pass.recorder->output_gradient(pass.queue, number_, as_const(dy));
  if (learned()) {
    prelu_backward(pass.queue, as_const(dy), as_const(z(pass.rows)), blocks_.parameter(plan_.slope), dy,
                   blocks_.gradient(plan_.slope));
  } else if (!is_identity()) {
    const Derivative<T> f = derivative(pass.rows);
    activation_backward(pass.queue, f.activation, f.which, as_const(dy), f.saved, dy);
  }
  if (pass.recorder && plan_.kind == StageKind::joint) pass.recorder->error(pass.queue, number_);
}

template <class T>
void Stage<T>::record(const Pass<T>& pass, Matrix<const T> output_gradient) const {
  pass.recorder->saturation(pass.queue, number_, derivative(pass.rows));
  if (!is_identity()) pass.recorder->output_gradient(pass.queue, number_, output_gradient);
}

namespace {

template <class T>
class ActivationStage final : public Stage<T> {
 public:
  using Stage<T>::Stage;
  // z is the input, which stays where it is.
  void forward(const Pass<T>& pass, Matrix<const T> x) override {
    if (this->keeps_input()) copy(pass.queue, this->z(pass.rows), x);
    if (!this->learned()) activation_forward(pass.queue, this->plan_.activation, x, this->output(pass.rows));
    this->finish_forward(pass, this->learned());
  }
  void backward_input(const Pass<T>& pass, Matrix<const T>, Matrix<T> dx) override {
    copy(pass.queue, dx, as_const(this->error(pass.rows)));
  }
};

template <class T>
class DropoutStage final : public Stage<T> {
 public:
  using Stage<T>::Stage;
  void bind(Queue& queue, T* memory, Index batch) override {
    Stage<T>::bind(queue, memory, batch);
    mask_ = memory + 2 * batch * this->width();
  }
  void forward(const Pass<T>& pass, Matrix<const T> x) override {
    const double rate = pass.training ? this->plan_.rate : 0.0;
    dropout_forward(pass.queue, x, rate, pass.state, static_cast<std::uint32_t>(this->number_),
                    this->own(mask_, pass.rows), this->output(pass.rows));
  }
  void backward_activation(const Pass<T>&, Matrix<const T>) override {}
  void backward_input(const Pass<T>& pass, Matrix<const T>, Matrix<T> dx) override {
    dropout_multiply(pass.queue, as_const(this->error(pass.rows)), as_const(this->own(mask_, pass.rows)), dx);
  }

 protected:
  Index matrices() const override { return 3; }

 private:
  T* mask_ = nullptr;
};

// Its error is the branch's: what goes back to the branch is made of it in its place, once the skip has been given it.
template <class T>
class JointStage final : public Stage<T> {
 public:
  JointStage(int number, const StagePlan& plan, Blocks<T> blocks, Stage<T>* branch)
      : Stage<T>(number, plan, blocks), branch_(branch) {}
  Index kept() const override { return (this->keeps_input() ? 2 : 1) * this->width(); }
  void bind(Queue& queue, T* memory, Index batch) override {
    this->error_ = branch_->error(batch).data;
    this->y_ = memory;
    this->z_ = this->keeps_input() ? memory + batch * this->width() : nullptr;
    if (this->plan_.scale >= 0) sum_ = DeviceBlock<double>(queue, dot_scratch(batch * this->width()));
  }
  void skip_is(Matrix<const T> skip) override { skip_ = skip; }
  void forward(const Pass<T>& pass, Matrix<const T> x) override {
    this->activated(pass, [&](Activation f, Matrix<T> z, Matrix<T> y) {
      residual_forward(pass.queue, skip_, x, scale(), f, z, y);
    });
  }
  void backward_input(const Pass<T>& pass, Matrix<const T> x, Matrix<T> dx) override {
    const Matrix<T> error = this->error(pass.rows);
    if (this->plan_.scale >= 0)
      residual_dot(pass.queue, as_const(error), x, sum_.data(), this->blocks_.gradient(this->plan_.scale));
    if (this->plan_.scale >= 0 || this->plan_.fixed_scale != 1)
      residual_scaled(pass.queue, as_const(error), scale(), dx);
  }

 private:
  Scale<T> scale() const {
    return {static_cast<T>(this->plan_.fixed_scale), this->blocks_.parameter(this->plan_.scale)};
  }
  Stage<T>* branch_;
  Matrix<const T> skip_ = {nullptr, 0, 0, 0};
  DeviceBlock<double> sum_;
};

template <class T>
class EmbeddingStage final : public Stage<T> {
 public:
  using Stage<T>::Stage;
  void forward(const Pass<T>& pass, Matrix<const T> x) override {
    embedding_forward(pass.queue, x, as_const(table(this->blocks_.parameters)), this->output(pass.rows));
  }
  void backward_activation(const Pass<T>&, Matrix<const T>) override {}
  void backward_input(const Pass<T>& pass, Matrix<const T>, Matrix<T> dx) override {
    embedding_backward_input(pass.queue, dx);
  }
  void gradients(const Pass<T>& pass, Matrix<const T> x) override {
    embedding_backward(pass.queue, x, as_const(this->error(pass.rows)), table(this->blocks_.gradients));
  }

 private:
  Matrix<T> table(T* block) const {
    return {block + this->plan_.weight, this->plan_.vocabulary, this->plan_.hidden, this->plan_.hidden};
  }
};

}  // namespace

template <class T>
std::unique_ptr<Stage<T>> make_stage(int number, const StagePlan& plan, Blocks<T> blocks, Stage<T>* branch) {
  switch (plan.kind) {
    case StageKind::dense:
      return make_dense(number, plan, blocks);
    case StageKind::activation:
      return std::make_unique<ActivationStage<T>>(number, plan, blocks);
    case StageKind::batchnorm:
    case StageKind::layernorm:
      return make_normalisation(number, plan, blocks);
    case StageKind::dropout:
      return std::make_unique<DropoutStage<T>>(number, plan, blocks);
    case StageKind::joint:
      return std::make_unique<JointStage<T>>(number, plan, blocks, branch);
    case StageKind::embedding:
      return std::make_unique<EmbeddingStage<T>>(number, plan, blocks);
    case StageKind::recurrent:
      return make_recurrent(number, plan, blocks);
    case StageKind::none:
      break;
  }
  throw std::runtime_error("[cuda] a stage of no known kind");
}

template class Stage<float>;
template class Stage<double>;
template std::unique_ptr<Stage<float>> make_stage(int, const StagePlan&, Blocks<float>, Stage<float>*);
template std::unique_ptr<Stage<double>> make_stage(int, const StagePlan&, Blocks<double>, Stage<double>*);

}  // namespace cuda
}  // namespace gradwell

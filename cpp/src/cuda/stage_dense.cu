// Dense layers and normalisations on the device.
#include "cuda/batchnorm.h"
#include "cuda/dense.h"
#include "cuda/layernorm.h"
#include "cuda/stage.h"

namespace gradwell {
namespace cuda {
namespace {

template <class T>
class DenseStage final : public Stage<T> {
 public:
  using Stage<T>::Stage;
  void forward(const Pass<T>& pass, Matrix<const T> x) override {
    this->activated(pass, [&](Activation f, Matrix<T> z, Matrix<T> y) {
      dense_forward(pass.queue, x, as_const(weight(this->blocks_.parameters)),
                    this->blocks_.parameter(this->plan_.bias), f, z, y);
    });
  }
  void backward_input(const Pass<T>& pass, Matrix<const T>, Matrix<T> dx) override {
    dense_backward_input(pass.queue, as_const(this->error(pass.rows)), as_const(weight(this->blocks_.parameters)),
                         Derivative<T>{}, dx);
  }
  void gradients(const Pass<T>& pass, Matrix<const T> x) override {
    const Matrix<const T> delta = as_const(this->error(pass.rows));
    dense_backward_weight(pass.queue, x, delta, weight(this->blocks_.gradients));
    if (this->plan_.bias >= 0) dense_backward_bias(pass.queue, delta, this->blocks_.gradient(this->plan_.bias));
  }

 private:
  Matrix<T> weight(T* block) const {
    return {block + this->plan_.weight, this->plan_.inputs, this->plan_.outputs, this->plan_.outputs};
  }
};

template <class T>
class NormStage : public Stage<T> {
 public:
  using Stage<T>::Stage;

 protected:
  const T* gamma() const { return this->blocks_.parameter(this->plan_.gamma); }
  const T* beta() const { return this->blocks_.parameter(this->plan_.beta); }
  T* dgamma() const { return this->blocks_.gradient(this->plan_.gamma); }
  T* dbeta() const { return this->blocks_.gradient(this->plan_.beta); }
  DeviceBlock<double> mean_, variance_;
};

template <class T>
class BatchNormStage final : public NormStage<T> {
 public:
  using NormStage<T>::NormStage;
  void bind(Queue& queue, T* memory, Index batch) override {
    Stage<T>::bind(queue, memory, batch);
    this->mean_ = DeviceBlock<double>(queue, this->plan_.outputs);
    this->variance_ = DeviceBlock<double>(queue, this->plan_.outputs);
  }
  void forward(const Pass<T>& pass, Matrix<const T> x) override {
    trained_ = pass.training;
    if (trained_ && x.rows < 2)
      throw std::invalid_argument("[batchnorm] the batch has " + std::to_string(x.rows) +
                                  (x.rows == 1 ? " row" : " rows") + "; training needs at least 2");
    this->activated(pass, [&](Activation f, Matrix<T> z, Matrix<T> y) {
      if (trained_) {
        batchnorm_forward(pass.queue, x, this->gamma(), this->beta(), this->plan_.epsilon, f, z, y, this->mean_.data(),
                          this->variance_.data());
      } else {
        batchnorm_inference(pass.queue, x, this->gamma(), this->beta(), running(0), running(1), this->plan_.epsilon, f,
                            z, y);
      }
    });
  }
  void backward_input(const Pass<T>& pass, Matrix<const T> x, Matrix<T> dx) override {
    const double* const mean = trained_ ? this->mean_.data() : running(0);
    const double* const variance = trained_ ? this->variance_.data() : running(1);
    batchnorm_backward(pass.queue, as_const(this->error(pass.rows)), x, this->gamma(), mean, variance,
                       this->plan_.epsilon, !trained_, this->dgamma(), this->dbeta(), dx);
  }
  void backward_end(const Pass<T>& pass, Matrix<const T> x) override { backward_input(pass, x, this->nothing()); }
  void commit(const Pass<T>& pass) override {
    if (trained_)
      batchnorm_commit(pass.queue, pass.state, pass.rows * this->plan_.steps, this->plan_.momentum, this->mean_.data(),
                       this->variance_.data(), running(0), running(1), this->plan_.outputs);
  }

 private:
  // All buffers of the network lie in one block: here the mean, behind it the variance.
  double* running(int which) const { return this->blocks_.buffers + this->plan_.buffer + which * this->plan_.outputs; }

  bool trained_ = false;
};

template <class T>
class LayerNormStage final : public NormStage<T> {
 public:
  using NormStage<T>::NormStage;
  void bind(Queue& queue, T* memory, Index batch) override {
    Stage<T>::bind(queue, memory, batch);
    this->mean_ = DeviceBlock<double>(queue, batch * this->plan_.steps);
    this->variance_ = DeviceBlock<double>(queue, batch * this->plan_.steps);
  }
  void forward(const Pass<T>& pass, Matrix<const T> x) override {
    this->activated(pass, [&](Activation f, Matrix<T> z, Matrix<T> y) {
      layernorm_forward(pass.queue, x, this->gamma(), this->beta(), this->plan_.epsilon, f, z, y, this->mean_.data(),
                        this->variance_.data());
    });
  }
  void backward_input(const Pass<T>& pass, Matrix<const T> x, Matrix<T> dx) override {
    layernorm_backward_input(pass.queue, as_const(this->error(pass.rows)), x, this->gamma(), this->mean_.data(),
                             this->variance_.data(), this->plan_.epsilon, dx);
  }
  void gradients(const Pass<T>& pass, Matrix<const T> x) override {
    layernorm_backward_parameters(pass.queue, as_const(this->error(pass.rows)), x, this->mean_.data(),
                                  this->variance_.data(), this->plan_.epsilon, this->dgamma(), this->dbeta());
  }
};

}  // namespace

template <class T>
std::unique_ptr<Stage<T>> make_dense(int number, const StagePlan& plan, Blocks<T> blocks) {
  return std::make_unique<DenseStage<T>>(number, plan, blocks);
}
template <class T>
std::unique_ptr<Stage<T>> make_normalisation(int number, const StagePlan& plan, Blocks<T> blocks) {
  if (plan.kind == StageKind::batchnorm) return std::make_unique<BatchNormStage<T>>(number, plan, blocks);
  return std::make_unique<LayerNormStage<T>>(number, plan, blocks);
}

#define GRADWELL_INSTANTIATE(T)                                                    \
  template std::unique_ptr<Stage<T>> make_dense(int, const StagePlan&, Blocks<T>); \
  template std::unique_ptr<Stage<T>> make_normalisation(int, const StagePlan&, Blocks<T>);
GRADWELL_INSTANTIATE(float)
GRADWELL_INSTANTIATE(double)

}  // namespace cuda
}  // namespace gradwell

#include "layers/batchnorm.h"

#include "gradwell/check.h"

namespace gradwell {

template <class T>
BatchNormLayer<T>::BatchNormLayer(int stage, Index units, const std::vector<Slice>& slices, NormSettings settings,
                                  ActivationPart<T> part)
    : NormLayer<T>(stage, units, slices, settings, part), running_mean_(units), running_variance_(units) {
  this->mean_ = Block<double>(units);
  this->variance_ = Block<double>(units);
  for (Index j = 0; j < units; ++j) running_variance_.data()[j] = 1;
}

template <class T>
std::vector<Buffer> BatchNormLayer<T>::buffers() {
  return {{"running_mean", running_mean_.data(), this->outputs_},
          {"running_variance", running_variance_.data(), this->outputs_}};
}

template <class T>
void BatchNormLayer<T>::forward(const Pass<T>& pass, Matrix<const T> x, Rows rows) {
  const auto& kernels = pass.kernels.batchnorm;
  const double epsilon = this->settings_.epsilon;
  trained_ = pass.mode.training;
  batch_ = trained_ ? rows.count : 0;
  check(!trained_ || rows.count > 1, "batchnorm", "the batch has ", rows.count, rows.count == 1 ? " row" : " rows",
        "; training needs at least 2");
  this->activated(pass, rows, [&](Activation f, Matrix<T> z, Matrix<T> y) {
    if (trained_) {
      kernels.forward(pass.context, rows_of(x, rows), this->gamma_, this->beta_, epsilon, f, z, y, this->mean_.data(),
                      this->variance_.data());
    } else {
      kernels.inference(pass.context, rows_of(x, rows), this->gamma_, this->beta_, running_mean_.data(),
                        running_variance_.data(), epsilon, f, z, y);
    }
  });
}

template <class T>
void BatchNormLayer<T>::backward_input(const Pass<T>& pass, Matrix<const T> x, Rows rows, Derivative<T> below,
                                       Matrix<T> dx) {
  const Matrix<T> to = rows_of(dx, rows);
  const double* const mean = trained_ ? this->mean_.data() : running_mean_.data();
  const double* const variance = trained_ ? this->variance_.data() : running_variance_.data();
  pass.kernels.batchnorm.backward(pass.context, as_const(this->error_rows(rows)), rows_of(x, rows), this->gamma_, mean,
                                  variance, this->settings_.epsilon, !trained_, this->dgamma_, this->dbeta_, to);
  if (to.data) this->differentiate(pass, below, to);
}

template <class T>
void BatchNormLayer<T>::backward_end(const Pass<T>& pass, Matrix<const T> x, Rows rows) {
  backward_input(pass, x, rows, {}, {nullptr, 0, 0, 0});
}

template <class T>
void BatchNormLayer<T>::commit() {
  if (batch_ < 2) return;
  const double keep = this->settings_.momentum, take = 1 - keep;
  const double population = static_cast<double>(batch_) / static_cast<double>(batch_ - 1);
  for (Index j = 0; j < this->outputs_; ++j) {
    double& mean = running_mean_.data()[j];
    double& variance = running_variance_.data()[j];
    mean = keep * mean + take * this->mean_.data()[j];
    variance = keep * variance + take * population * this->variance_.data()[j];
  }
  batch_ = 0;
}

template <class T>
void BatchNormLayer<T>::explain_forward(const Pass<T>& pass, Matrix<const T> x, Producer& producer) {
  this->explain("batchnorm_forward", pass, x, producer);
}

template class BatchNormLayer<float>;
template class BatchNormLayer<double>;

}  // namespace gradwell

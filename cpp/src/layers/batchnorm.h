// Batch normalisation with the activation that follows it. In training it normalises by the batch and, once the step is
// taken, moves its running statistics towards the batch's:
//
//   running <- momentum running + (1 - momentum) batch
//
// with the batch's variance times n / (n - 1) there, so that it estimates the population's; in inference by those.
#pragma once

#include "layers/normalisation.h"

namespace gradwell {

template <class T>
class BatchNormLayer final : public NormLayer<T> {
 public:
  BatchNormLayer(int stage, Index units, const std::vector<Slice>& slices, NormSettings settings,
                 ActivationPart<T> part);
  std::vector<Buffer> buffers() override;
  bool rows_apart() const override { return false; }
  bool sums_on_the_way() const override { return true; }
  void forward(const Pass<T>& pass, Matrix<const T> x, Rows rows) override;
  void backward_input(const Pass<T>& pass, Matrix<const T> x, Rows rows, Derivative<T> below, Matrix<T> dx) override;
  void backward_end(const Pass<T>& pass, Matrix<const T> x, Rows rows) override;
  void commit() override;
  void describe(StagePlan& plan) const override { this->describe_as(StageKind::batchnorm, plan); }
  void explain_forward(const Pass<T>& pass, Matrix<const T> x, Producer& producer) override;

 private:
  Block<double> running_mean_, running_variance_;
  Index batch_ = 0;       // of the last pass in training, until it is committed
  bool trained_ = false;  // the last pass was one in training
};

}  // namespace gradwell

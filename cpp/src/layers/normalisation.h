// What batch and layer normalisation share: scale and offset, and the moments of the last pass.
#pragma once

#include "layers/activation.h"

namespace gradwell {

struct NormSettings {
  double epsilon;
  double momentum;  // of the running statistics; batch normalisation only
  int gamma, beta;  // positions among the slices, -1 for none
};

template <class T>
class NormLayer : public ActivatedLayer<T> {
 public:
  NormLayer(int stage, Index units, const std::vector<Slice>& slices, NormSettings settings, ActivationPart<T> part)
      : ActivatedLayer<T>(stage, units, units, part),
        settings_(settings),
        gamma_offset_(settings.gamma < 0 ? -1 : slices[static_cast<std::size_t>(settings.gamma)].offset),
        beta_offset_(settings.beta < 0 ? -1 : slices[static_cast<std::size_t>(settings.beta)].offset) {}
  void bind_parameters(T* parameters, T* gradients) override {
    ActivatedLayer<T>::bind_parameters(parameters, gradients);
    if (gamma_offset_ >= 0) {
      gamma_ = parameters + gamma_offset_;
      dgamma_ = gradients + gamma_offset_;
    }
    if (beta_offset_ >= 0) {
      beta_ = parameters + beta_offset_;
      dbeta_ = gradients + beta_offset_;
    }
  }

 protected:
  void describe_as(StageKind kind, StagePlan& plan) const {
    plan.kind = kind;
    plan.gamma = gamma_offset_;
    plan.beta = beta_offset_;
    plan.epsilon = settings_.epsilon;
    plan.momentum = settings_.momentum;
    this->part_.describe(plan);
  }
  void explain(const char* operation, const Pass<T>& pass, Matrix<const T> x, Producer& producer) const {
    const Index n = this->outputs_;
    producer.operation = operation;
    producer.values = {{"x", measure(pass, x)}};
    if (gamma_) producer.values.push_back({"gamma", measure(pass, Matrix<const T>{gamma_, 1, n, n})});
    if (beta_) producer.values.push_back({"beta", measure(pass, Matrix<const T>{beta_, 1, n, n})});
  }

  NormSettings settings_;
  Index gamma_offset_, beta_offset_;
  T *gamma_ = nullptr, *beta_ = nullptr, *dgamma_ = nullptr, *dbeta_ = nullptr;
  Block<double> mean_, variance_;
};

}  // namespace gradwell

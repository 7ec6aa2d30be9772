#include "gradwell/clipper.h"

#include <cmath>

namespace gradwell {

void RunningPercentile::add(double value, double percent) {
  if (low_.empty() || value <= low_.top()) {
    low_.push(value);
  } else {
    high_.push(value);
  }
  const auto count = low_.size() + high_.size();
  const double position = static_cast<double>(count - 1) * percent / 100.0;
  const auto below = static_cast<std::size_t>(position);
  fraction_ = position - static_cast<double>(below);
  for (; low_.size() > below + 1; low_.pop()) high_.push(low_.top());
  for (; low_.size() < below + 1; high_.pop()) low_.push(high_.top());
}

double RunningPercentile::value() const {
  return high_.empty() ? low_.top() : low_.top() + fraction_ * (high_.top() - low_.top());
}

void Clipper::set(const ClipPlan& plan) {
  const bool same = plan.kind == plan_.kind && plan.limit == plan_.limit && plan.floor == plan_.floor &&
                    plan.warm_up == plan_.warm_up;
  if (!same) restore(plan, {});
}

double Clipper::allowed(double norm) {
  switch (plan_.kind) {
    case ClipKind::norm:
      return std::fmin(norm, plan_.limit);
    case ClipKind::percentile:
      norms_.push_back(norm);
      percentile_.add(norm, plan_.limit);
      return std::fmin(norm, percentile_.value());
    case ClipKind::zscore: {
      if (static_cast<Index>(norms_.size()) < plan_.warm_up) {
        norms_.push_back(norm);
        if (static_cast<Index>(norms_.size()) < plan_.warm_up) return norm;
        for (const double n : norms_) mean_ += n / static_cast<double>(norms_.size());
        for (const double n : norms_) variance_ += (n - mean_) * (n - mean_) / static_cast<double>(norms_.size());
        return norm;
      }
      const double deviation = std::sqrt(variance_), z = (norm - mean_) / deviation;
      // A norm that has never moved allows no other.
      const double kept = deviation == 0 ? std::fmin(norm, mean_)
                                         : (z > plan_.limit ? mean_ + plan_.limit * plan_.limit / z * deviation : norm);
      mean_ = plan_.floor * mean_ + (1 - plan_.floor) * kept;
      variance_ = plan_.floor * variance_ + (1 - plan_.floor) * (kept - mean_) * (kept - mean_);
      return kept;
    }
    default:
      return norm;
  }
}

std::vector<double> Clipper::state() const {
  std::vector<double> all = norms_;
  if (plan_.kind == ClipKind::zscore) all.insert(all.begin(), {mean_, variance_});
  return all;
}

void Clipper::restore(const ClipPlan& plan, const std::vector<double>& state) {
  plan_ = plan;
  const bool scores = plan.kind == ClipKind::zscore && state.size() >= 2;
  mean_ = scores ? state[0] : 0;
  variance_ = scores ? state[1] : 0;
  norms_.assign(state.begin() + (scores ? 2 : 0), state.end());
  percentile_ = {};
  if (plan.kind == ClipKind::percentile)
    for (const double norm : norms_) percentile_.add(norm, plan.limit);
}

}  // namespace gradwell

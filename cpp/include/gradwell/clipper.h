// What a clipping by norm remembers from step to step, and the norm it allows.
#pragma once

#include <queue>
#include <vector>

#include "gradwell/clipping.h"

namespace gradwell {

// The p-th percentile of numbers that come one by one: the smaller ones in one heap, the others in another.
class RunningPercentile {
 public:
  void add(double value, double percent);
  double value() const;

 private:
  std::priority_queue<double> low_;
  std::priority_queue<double, std::vector<double>, std::greater<double>> high_;
  double fraction_ = 0;
};

class Clipper {
 public:
  // Forgets everything where `plan` is another one than before.
  void set(const ClipPlan& plan);
  const ClipPlan& plan() const { return plan_; }
  // The norm that a gradient of this one, which is finite, is to have; the figures kept include it.
  double allowed(double norm);

  // All there is to remember, as numbers: percentile: every norm; zscore: mean, variance, and the norms of the warm-up.
  std::vector<double> state() const;
  void restore(const ClipPlan& plan, const std::vector<double>& state);

 private:
  ClipPlan plan_;
  std::vector<double> norms_;
  RunningPercentile percentile_;
  double mean_ = 0, variance_ = 0;
};

}  // namespace gradwell

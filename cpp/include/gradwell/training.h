// What a pass and a run of steps are told, and what they answer.
#pragma once

#include <vector>

#include "gradwell/clipping.h"
#include "gradwell/loss.h"
#include "gradwell/optimizers.h"
#include "gradwell/types.h"

namespace gradwell {

// How a pass is meant. `seed` and `step` are what dropout draws from; a pass that `carries` begins from the states that
// were kept and keeps its last; one that `goes_back` is followed by the way back.
struct Mode {
  bool training = false;
  std::uint64_t seed = 0, step = 0;
  bool carries = false, goes_back = false;
};

// One step's worth of samples: rows of x, their targets, and the lengths of their sequences or null, chosen by `order`.
// Where the outputs are sequences there is a target for every step: classes (rows * steps), values (rows, steps *
// units).
template <class T>
struct Samples {
  Matrix<const T> x;
  Targets<T> targets;
  const Index* lengths = nullptr;
};

// What stopped a run of steps.
enum class Fault : int { none, loss, gradient, update };

struct TrainPlan {
  LossKind loss = LossKind::quadratic;
  StepRule rule = {};                  // but for the learning rate
  std::vector<double> learning_rates;  // of each step, or one for all
  ClipPlan clip = {};
  std::vector<double> amplify;  // what the gradient of each slice is multiplied by; empty: nothing
  std::uint64_t seed = 0;
  Index batch = 1;
  Index first_step = 0;    // number of the first step of this run
  Index record_every = 0;  // steps whose number is a multiple are recorded; 0: none

  double learning_rate(Index step) const {
    return learning_rates[learning_rates.size() > 1 ? static_cast<std::size_t>(step) : 0];
  }
};

// What clipping did in one step: norms over all parameters, and the slice that had most of it.
struct ClipEntry {
  double before, after;
  Index cause;
};

struct TrainResult {
  std::vector<double> losses;  // mean of each step's batch, before its update
  std::vector<Index> counts;   // over so many rows, or steps of sequences
  Index correct = 0;
  Index samples = 0;             // or steps of sequences
  Fault fault = Fault::none;     // found in the step after the last of `losses`; its update was not applied
  std::vector<ClipEntry> clips;  // of each step, where there is clipping
  double plain_seconds = 0, recorded_seconds = 0;
  Index plain_steps = 0, recorded_steps = 0;
};

}  // namespace gradwell

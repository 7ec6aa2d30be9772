// What the steps of a run have in common, on the device: slices cut into pieces, rates, and what each step leaves.
// Private to cpp/src/cuda.
#pragma once

#include <algorithm>
#include <vector>

#include "cuda/clipping.h"
#include "cuda/optimizers.h"
#include "cuda/program.h"

namespace gradwell {
namespace cuda {

template <class T>
struct SliceTables {
  SliceTables(Queue& queue, const NetworkPlan& plan);
  // Penalties and decay of each slice under a rule.
  void rules_for(Queue& queue, const NetworkPlan& plan, const StepRule& rule);

  Index count, layers;
  DeviceBlock<Span> spans;
  DeviceBlock<Piece> pieces;
  DeviceBlock<int> layer_of;
  DeviceBlock<SliceRule> rules;
  DeviceBlock<double> partial, norms, norms_after, scales;
  DeviceBlock<StepNorms> step_partial, step_norms;
  double most_l1 = 0, most_l2 = 0;
};

template <class T>
struct CudaProgram<T>::Run {
  const TrainPlan* plan = nullptr;
  const StepMemory* memory = nullptr;
  Index count = 0, steps = 0;  // rows, and the steps they make
  Index slots = 0;             // for the steps that are recorded before the host looks
  Index allowed_step = -1;     // the step that `allowed` is for
  Index tried = -1;            // the step whose bound was looked at last
  bool counts_steps = false;
  bool general = false;  // a chain of narrow layers goes the general way too
  DeviceBlock<double> rates, losses, allowed;
  DeviceBlock<Index> correct;
  DeviceBlock<ClipEntry> clips;

  bool one_rate() const { return plan->learning_rates.size() == 1; }
  bool clips_by_memory() const {
    return plan->clip.kind == ClipKind::percentile || plan->clip.kind == ClipKind::zscore;
  }
  // Whether rows go through all layers at once: nothing looks at the gradients before they are stepped by.
  bool looks_at_nothing() const { return plan->clip.kind == ClipKind::none && plan->amplify.empty() && !general; }
  bool changes_gradients() const { return plan->clip.kind == ClipKind::value || plan->clip.kind == ClipKind::adaptive; }
  bool records(Index step, const Record* record) const {
    return record && plan->record_every > 0 && (plan->first_step + step) % plan->record_every == 0;
  }
};

}  // namespace cuda
}  // namespace gradwell

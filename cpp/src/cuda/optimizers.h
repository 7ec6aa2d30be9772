// Optimisers on arrays of the device; contracts: gradwell/optimizers.h. Private to cpp/src/cuda.
//
// Within a run of steps the device decides by itself (program_step.cpp does it on the CPU): `decide` looks at loss and
// gradients and tells in the run's state whether the parameters move, `optimizer_steps` moves them, `advance` ends the
// step. Once a fault or a close call is set, the steps that follow change nothing.
#pragma once

#include "cuda/launch.h"
#include "cuda/slices.h"
#include "cuda/step.h"
#include "gradwell/optimizers.h"

namespace gradwell {
namespace cuda {

template <class T>
void optimizer_update(Queue&, const StepRule&, T* parameter, const T* gradient, gradwell::StepState<T>, Index count);

// What a slice has of its own in a rule.
struct SliceRule {
  double weight_decay, l2, l1;
};

// All slices of a block, by the rate and corrections in `state`. `partial` (piece_count) and `norms` (count) are
// written where they are not null: the norms of `update_recorded`, of every slice. Two launches then, else one.
template <class T>
void optimizer_steps(Queue&, const RunState* state, const StepRule& base, const SliceRule* rules,
                     const double* slice_scales, T* parameters, const T* gradients, gradwell::StepState<T> states,
                     const Span* spans, Index count, const Piece* pieces, Index piece_count, StepNorms* partial,
                     StepNorms* norms);

// `bound`, or `velocity_bound`, of the state: the largest of `largest`, which are above all magnitudes of a slice each.
void set_bound(Queue&, RunState* state, const double* largest, Index count, bool velocity);

// Whether the step goes, how fast, and by what the gradient of each slice is multiplied. `before` and `after`: norms of
// the slices before and after a clipping that has changed the gradients, else twice the same. `allowed`: the norm that
// percentile and zscore allow. `layer_of` the slices grows. Where the bound on the parameters nears the end of T it
// does not decide but sets `close`.
template <class T>
void decide(Queue&, RunState* state, const StepRule& rule, const double* learning_rates, bool one_rate,
            const ClipPlan& clip, const double* before, const double* after, const double* allowed, Index slices,
            const int* layer_of, Index layers, double* slice_scales, double most_l1, double most_l2);

// Leaves loss, correct answers and, where `clips` is not null, what clipping did in place state->step, and goes on to
// the next.
void advance(Queue&, RunState* state, double* losses, Index* correct, ClipEntry* clips);

}  // namespace cuda
}  // namespace gradwell

// What a step of a run decides by itself, and leaves behind. Contracts: optimizers.h.
#include <cmath>
#include <limits>

#include "cuda/norms.h"
#include "cuda/optimizers.h"
#include "gradwell/step_bounds.h"

namespace gradwell {
namespace cuda {
namespace {

// What is the same at every step of a run.
struct Decision {
  StepRule rule;
  const double* learning_rates;
  bool one_rate;
  ClipPlan clip;
  const double *before, *after, *allowed;
  Index slices;
  const int* layer_of;
  Index layers;
  double* scales;
  MostPenalty most;
  double limit;
};

__global__ void __launch_bounds__(256)
    set_one_bound(RunState* state, const double* largest, Index count, bool velocity) {
  __shared__ double scratch[32];
  double most = 0;
  for (Index i = threadIdx.x; i < count; i += 256) most = Largest{}(most, largest[i]);
  most = join_block(most, Largest{}, 0.0, scratch);
  if (threadIdx.x == 0) (velocity ? state->velocity_bound : state->bound) = most;
}

// The first of the slices with the largest norm.
__device__ Index cause_of(const Decision& d, double* scratch) {
  double most = 0;
  for (Index i = threadIdx.x; i < d.slices; i += 256) most = Largest{}(most, d.before[i]);
  most = join_block(most, Largest{}, 0.0, scratch);
  double first = static_cast<double>(d.slices);
  for (Index i = threadIdx.x; i < d.slices; i += 256) {
    const bool it = d.before[i] == most || (most != most && d.before[i] != d.before[i]);
    if (it && static_cast<double>(i) < first) first = static_cast<double>(i);
  }
  first = join_block(first, Lesser{}, static_cast<double>(d.slices), scratch);
  return d.slices > 0 ? static_cast<Index>(first) : -1;
}

// The slices of a layer lie together.
__device__ Index first_of_layer(const Decision& d, Index layer) {
  Index low = 0, high = d.slices;
  while (low < high) {
    const Index middle = (low + high) / 2;
    if (d.layer_of[middle] < layer) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

__device__ double norm_of_layer(const Decision& d, Index layer) {
  double norm = 0;
  for (Index i = first_of_layer(d, layer); i < d.slices && d.layer_of[i] == layer; ++i)
    norm = std::hypot(norm, d.before[i]);
  return norm;
}

__device__ double clip_layers(const Decision& d, double* scratch) {
  for (Index layer = threadIdx.x; layer < d.layers; layer += 256) {
    const double norm = norm_of_layer(d, layer), factor = norm > d.clip.limit ? d.clip.limit / norm : 1.0;
    for (Index i = first_of_layer(d, layer); i < d.slices && d.layer_of[i] == layer; ++i) d.scales[i] = factor;
  }
  return norm_of_block(d.layers, scratch, [&](Index layer) { return lesser(norm_of_layer(d, layer), d.clip.limit); });
}

// The norm that all gradients together are to have; leaves their factors.
__device__ double clipped(const Decision& d, double norm, double* scratch) {
  double to = norm;
  if (is_finite(norm)) {
    switch (d.clip.kind) {
      case ClipKind::layer:
        return clip_layers(d, scratch);
      case ClipKind::value:
      case ClipKind::adaptive:
        to = norm_of_block(d.slices, scratch, [&](Index i) { return d.after[i]; });
        norm = to;
        break;
      case ClipKind::norm:
        to = lesser(norm, d.clip.limit);
        break;
      case ClipKind::percentile:
      case ClipKind::zscore:
        to = *d.allowed;
        break;
      case ClipKind::none:
        break;
    }
  }
  const double factor = to < norm ? to / norm : 1.0;
  for (Index i = threadIdx.x; i < d.slices; i += 256) d.scales[i] = factor;
  return to;
}

// 0 where the step goes; Fault::update where the bound on the parameters, which it moves, nears the end of the format.
template <class T>
__device__ Fault check_step(const Decision& d, const StepRule& rule, RunState& state) {
  StepBound bound = {state.bound, state.velocity_bound};
  const double gradient = penalised_gradient(rule, state.norm_after, d.most, bound);
  if (!(gradient < gradient_limit(rule.kind, d.limit))) return Fault::gradient;
  const double after = parameter_bound_after<T>(rule, gradient, d.most, bound);
  if (!(after < d.limit)) return Fault::update;
  state.bound = bound.parameter = after;
  state.velocity_bound = velocity_bound_after(rule, penalised_gradient(rule, state.norm_after, d.most, bound), bound);
  return Fault::none;
}

template <class T>
__global__ void __launch_bounds__(256) decide_step(Decision d, RunState* at) {
  __shared__ double scratch[32];
  RunState& state = *at;
  const bool over = state.fault != 0 || state.close != 0;
  __syncthreads();  // all have looked before one changes it
  if (over) {
    if (threadIdx.x == 0) state.goes = 0;
    return;
  }
  const double before = norm_of_block(d.slices, scratch, [&](Index i) { return d.before[i]; });
  const Index cause = cause_of(d, scratch);
  const double after = clipped(d, before, scratch);
  if (threadIdx.x != 0) return;
  state.norm_before = before;
  state.norm_after = after;
  state.cause = cause;
  StepRule rule = d.rule;
  rule.learning_rate = state.learning_rate = d.learning_rates[d.one_rate ? 0 : state.step];
  if (rule.kind == OptimizerKind::adam) {
    const double updates = static_cast<double>(state.updates + 1);
    rule.correction1 = 1 - std::pow(rule.momentum, updates);
    rule.correction2 = 1 - std::pow(rule.decay, updates);
  }
  state.correction1 = rule.correction1;
  state.correction2 = rule.correction2;
  const Fault fault = is_finite(state.loss) ? check_step<T>(d, rule, state) : Fault::loss;
  state.close = fault == Fault::update;
  state.fault = state.close ? 0 : static_cast<int>(fault);
  state.goes = fault == Fault::none;
}

__global__ void end_step(RunState* at, double* losses, Index* correct, ClipEntry* clips) {
  RunState& state = *at;
  if (threadIdx.x != 0 || state.fault != 0 || state.close != 0) return;
  losses[state.step] = state.loss;
  correct[state.step] = static_cast<Index>(state.correct);
  if (clips) clips[state.step] = {state.norm_before, state.norm_after, state.cause};
  state.updates += state.goes;
  ++state.step;
}

}  // namespace

void set_bound(Queue& queue, RunState* state, const double* largest, Index count, bool velocity) {
  launch("set_bound", queue, {1}, set_one_bound, state, largest, count, velocity);
}

template <class T>
void decide(Queue& queue, RunState* state, const StepRule& rule, const double* learning_rates, bool one_rate,
            const ClipPlan& clip, const double* before, const double* after, const double* allowed, Index slices,
            const int* layer_of, Index layers, double* slice_scales, double most_l1, double most_l2) {
  const double limit = 0.5 * static_cast<double>(std::numeric_limits<T>::max());
  const Decision d = {rule,   learning_rates, one_rate,           clip, before, after, allowed, slices, layer_of,
                      layers, slice_scales,   {most_l1, most_l2}, limit};
  launch("decide", queue, {1}, decide_step<T>, d, state);
}

void advance(Queue& queue, RunState* state, double* losses, Index* correct, ClipEntry* clips) {
  launch("advance", queue, {1, 32}, end_step, state, losses, correct, clips);
}

#define GRADWELL_INSTANTIATE(T)                                                                                    \
  template void decide<T>(Queue&, RunState*, const StepRule&, const double*, bool, const ClipPlan&, const double*, \
                          const double*, const double*, Index, const int*, Index, double*, double, double);
GRADWELL_INSTANTIATE(float)
GRADWELL_INSTANTIATE(double)

}  // namespace cuda
}  // namespace gradwell

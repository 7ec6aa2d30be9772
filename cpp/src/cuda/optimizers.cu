#include "cuda/optimizers.h"

#include "cuda/level.h"
#include "cuda/norms.h"
#include "cuda/numbers.h"
#include "elementwise/optimizer_rules.h"

namespace gradwell {
namespace cuda {
namespace {

template <class T, int States>
struct StepItem {
  T parameter, gradient;
  T state[States > 0 ? States : 1];
};

template <class T, class Rule>
struct Step {
  using Item = StepItem<T, Rule::states>;
  Rule rule;
  T* parameter;
  const T* gradient;
  gradwell::StepState<T> states;

  __device__ bool skips() const { return false; }
  __device__ Item load(Index i) const {
    Item item;
    item.parameter = parameter[i];
    item.gradient = gradient[i];
    GRADWELL_UNROLL
    for (int k = 0; k < Rule::states; ++k) item.state[k] = states.state[k][i];
    return item;
  }
  // The parameter after its step.
  __device__ T taken(Index i, Item& item) const {
    const T now = rule(item.parameter, item.gradient, item.state);
    GRADWELL_UNROLL
    for (int k = 0; k < Rule::states; ++k) states.state[k][i] = item.state[k];
    parameter[i] = now;
    return now;
  }
  __device__ void put(Index i, Item item) const { taken(i, item); }
};

// The same, and the squares of what it does.
template <class T, class Rule>
struct RecordedStep : Step<T, Rule> {
  StepNorms squares;
  __device__ void put(Index i, typename Step<T, Rule>::Item item) {
    const T before = item.parameter;
    const double change = static_cast<double>(this->taken(i, item) - before), p = static_cast<double>(before);
    squares.step = fma(change, change, squares.step);
    squares.parameter = fma(p, p, squares.parameter);
  }
};

// What all pieces of a launch have in common.
template <class T>
struct Pieces {
  const RunState* state;
  StepRule base;
  const SliceRule* rules;
  const double* scales;
  T* parameters;
  const T* gradients;
  gradwell::StepState<T> states;
  const Piece* pieces;
  StepNorms* partial;
};

__device__ inline StepNorms join_step_norms(StepNorms sums, double* scratch) {
  return {join_block(sums.step, Plus{}, 0.0, scratch), join_block(sums.parameter, Plus{}, 0.0, scratch)};
}

// The first thread makes the rule of the slice for all.
template <class T, class Rule, bool Recorded>
__global__ void __launch_bounds__(256) step_pieces(Pieces<T> all) {
  __shared__ double scratch[32];
  alignas(16) __shared__ unsigned char memory[sizeof(Rule)];
  Rule* const made = reinterpret_cast<Rule*>(memory);
  const RunState& state = *all.state;
  if (!state.goes) return;
  const Piece piece = all.pieces[blockIdx.x];
  if (threadIdx.x == 0) {
    StepRule rule = all.base;
    rule.learning_rate = state.learning_rate;
    rule.correction1 = state.correction1;
    rule.correction2 = state.correction2;
    rule.weight_decay = all.rules[piece.span].weight_decay;
    rule.l2 = all.rules[piece.span].l2;
    rule.l1 = all.rules[piece.span].l1;
    rule.scale = all.scales[piece.span];
    *made = Rule(rule);
  }
  __syncthreads();
  const Step<T, Rule> step = {*made, all.parameters, all.gradients, all.states};
  if (Recorded) {
    RecordedStep<T, Rule> body = {step, {0, 0}};
    visit_run(piece.first, piece.size, body);
    const StepNorms norms = join_step_norms(body.squares, scratch);
    if (threadIdx.x == 0) all.partial[blockIdx.x] = norms;
  } else {
    visit_run(piece.first, piece.size, step);
  }
}

// One block a slice.
__global__ void __launch_bounds__(256)
    join_steps(const RunState* state, const Span* spans, const StepNorms* partial, StepNorms* norms) {
  __shared__ double scratch[32];
  if (!state->goes) return;
  const Span span = spans[blockIdx.x];
  StepNorms sums = {0, 0};
  for (Index i = threadIdx.x; i < span.pieces; i += 256) {
    sums.step += partial[span.first_piece + i].step;
    sums.parameter += partial[span.first_piece + i].parameter;
  }
  sums = join_step_norms(sums, scratch);
  if (threadIdx.x == 0) norms[blockIdx.x] = sums;
}

}  // namespace

template <class T>
void optimizer_update(Queue& queue, const StepRule& rule, T* parameter, const T* gradient,
                      gradwell::StepState<T> states, Index count) {
  with_rule<T>(rule, [&](auto made) {
    const Step<T, decltype(made)> step = {made, parameter, gradient, states};
    for_each_number("optimizer_update", queue, count, step);
  });
}

template <class T>
void optimizer_steps(Queue& queue, const RunState* state, const StepRule& base, const SliceRule* rules,
                     const double* slice_scales, T* parameters, const T* gradients, gradwell::StepState<T> states,
                     const Span* spans, Index count, const Piece* pieces, Index piece_count, StepNorms* partial,
                     StepNorms* norms) {
  const Pieces<T> all = {state, base, rules, slice_scales, parameters, gradients, states, pieces, partial};
  with_rule<T>(base, [&](auto made) {
    using Rule = decltype(made);
    launch("optimizer_steps", queue, {piece_count}, partial ? step_pieces<T, Rule, true> : step_pieces<T, Rule, false>,
           all);
  });
  if (partial) launch("optimizer_steps", queue, {count}, join_steps, state, spans, partial, norms);
}

namespace {

template <class T>
gradwell::StepState<T> staged(Staging& host, gradwell::StepState<T> states, OptimizerKind kind, Index count) {
  for (int k = 0; k < states_of(kind); ++k) states.state[k] = host.out(states.state[k], count);
  return states;
}

template <class T>
void update(Context, const StepRule& rule, T* parameter, const T* gradient, gradwell::StepState<T> states,
            Index count) {
  Staging host;
  states = staged(host, states, rule.kind, count);
  optimizer_update(host.queue(), rule, host.out(parameter, count), host.in(gradient, count), states, count);
  host.finish();
}

template <class T>
StepNorms update_recorded(Context, const StepRule& rule, T* parameter, const T* gradient, gradwell::StepState<T> states,
                          Index count) {
  Staging host;
  StepNorms norms = {0, 0};
  RunState state = {};
  state.goes = 1;
  state.learning_rate = rule.learning_rate;
  state.correction1 = rule.correction1;
  state.correction2 = rule.correction2;
  const SliceRule own = {rule.weight_decay, rule.l2, rule.l1};
  std::vector<Span> span = {{0, count}};
  const std::vector<Piece> pieces = cut_spans(span);
  const auto piece_count = static_cast<Index>(pieces.size());
  states = staged(host, states, rule.kind, count);
  optimizer_steps(host.queue(), host.in(&state, 1), rule, host.in(&own, 1), host.in(&rule.scale, 1),
                  host.out(parameter, count), host.in(gradient, count), states, host.in(span.data(), 1), 1,
                  host.in(pieces.data(), piece_count), piece_count, host.scratch<StepNorms>(piece_count),
                  host.place(&norms));
  host.finish();
  return norms;
}

}  // namespace

template <class T>
OptimizerKernels<T> optimizer_kernels() {
  return {update<T>, update_recorded<T>};
}

#define GRADWELL_INSTANTIATE(T)                                                                                        \
  template void optimizer_update(Queue&, const StepRule&, T*, const T*, gradwell::StepState<T>, Index);                \
  template void optimizer_steps(Queue&, const RunState*, const StepRule&, const SliceRule*, const double*, T*,         \
                                const T*, gradwell::StepState<T>, const Span*, Index, const Piece*, Index, StepNorms*, \
                                StepNorms*);                                                                           \
  template OptimizerKernels<T> optimizer_kernels<T>();
GRADWELL_INSTANTIATE(float)
GRADWELL_INSTANTIATE(double)

}  // namespace cuda
}  // namespace gradwell

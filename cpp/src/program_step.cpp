// One step: a pass, the look at what it found, and the update of the parameters.
#include <algorithm>
#include <cmath>
#include <limits>

#include "core/team.h"
#include "gradwell/step_bounds.h"
#include "layers/layer.h"

namespace gradwell {

template <class T>
double Program<T>::largest(Context context, const T* block, const Slice& slice) const {
  return kernels<T>().statistics.largest(context, {block + slice.offset, 1, slice.size(), slice.size()});
}

template <class T>
double Program<T>::largest_in(Context context, const T* block) const {
  double most = 0;
  for (const Slice& slice : slices_) {
    const double size = largest(context, block, slice);
    if (!(size <= most)) most = size;  // NaN stays
    if (std::isnan(most)) break;
  }
  return most;
}

// `steepest` is at least as large as every |gradient|. `bound` is kept above every |parameter|: the step makes of it
// keep * bound + step, and only when that nears the end of the format are the parameters looked at.
template <class T>
Fault Program<T>::check_step(Context context, double steepest, const StepRule& rule, double* bound) const {
  const double limit = 0.5 * static_cast<double>(std::numeric_limits<T>::max());
  double penalty1 = rule.l1, penalty2 = rule.l2;
  for (const Slice& slice : slices_) {
    if (!penalised_) break;
    penalty1 = std::fmax(penalty1, rule.l1 + slice.penalty.l1);
    penalty2 = std::fmax(penalty2, rule.l2 + slice.penalty.l2);
  }
  const MostPenalty most = {penalty1, penalty2};
  const auto known = [&] { return StepBound{*bound, velocity_bound_}; };
  const auto gradient = [&] { return penalised_gradient(rule, steepest, most, known()); };
  const auto after = [&] { return parameter_bound_after<T>(rule, gradient(), most, known()); };
  if (!(gradient() < gradient_limit(rule.kind, limit))) return Fault::gradient;
  if (!(after() < limit)) {
    *bound = largest_in(context, parameters_.data());
    if (has_velocity(rule.kind)) velocity_bound_ = largest_in(context, states_[0].data());
  }
  if (!(after() < limit)) return Fault::update;
  *bound = after();
  velocity_bound_ = velocity_bound_after(rule, gradient(), known());
  return Fault::none;
}

// The gradients that a block stands for, in the gradient block, and their record.
template <class T>
void Program<T>::make_block(const Pass<T>& pass, Index batch, const WeightBlock& block) {
  Layer<T>& layer = *layers_[block.layer];
  const Matrix<const T> x = input_of(block.layer, batch);
  if (block.rows.count > 0) layer.backward_parameters(pass, x, block.rows);
  if (block.rows.first > 0) return;
  layer.backward_others(pass, x);
  if (!pass.recorder) return;
  for_each_other_slice(block.layer, [&](std::size_t i) {
    const Index size = slices_[i].size();
    pass.recorder->gradient(pass, i, 0, {gradients_.data() + slices_[i].offset, 1, size, size});
  });
}

// A step of some rows of a slice, by their gradient in the gradient block.
template <class T>
void Program<T>::step_slice(const Pass<T>& pass, std::size_t i, Index block, Rows rows, const StepRule& step) {
  const Slice& slice = slices_[i];
  StepRule rule = slice.rule(step);
  rule.scale = slice_scales_[i];
  const Index offset = slice.offset + rows.first * slice.columns, size = rows.count * slice.columns;
  StepState<T> state = {};
  for (int k = 0; k < states_of(rule.kind); ++k) state.state[k] = states_[k].data() + offset;
  T* const parameter = parameters_.data() + offset;
  const T* const gradient = gradients_.data() + offset;
  if (pass.recorder) {
    pass.recorder->step(i, block,
                        pass.kernels.optimizers.update_recorded(pass.context, rule, parameter, gradient, state, size));
  } else {
    pass.kernels.optimizers.update(pass.context, rule, parameter, gradient, state, size);
  }
}

template <class T>
void Program<T>::step_block(const Pass<T>& pass, const WeightBlock& block, const StepRule& rule) {
  const std::size_t layer = block.layer;
  if (block.rows.count > 0)
    step_slice(pass, weight_of_[layer], block.rows.first / layers_[layer]->weight_rows(), block.rows, rule);
}

template <class T>
void Program<T>::run_parameters(Context context, Index batch, Recorder<T>* recorder) {
  const Pass<T> pass = {{1, context.flush_denormals}, kernels<T>(), recorder, {}, x_};
  for_each_task(context, static_cast<Index>(weight_blocks_.size()),
                [&](Index k) { make_block(pass, batch, weight_blocks_[static_cast<std::size_t>(k)]); });
}

// `made`: all gradients are in the gradient block. Else each block's are made where its parameters step; where the
// rule allows it they are stored nowhere.
template <class T>
void Program<T>::step_parameters(Context context, Index batch, const StepRule& rule, Recorder<T>* recorder, bool made) {
  const Pass<T> pass = {{1, context.flush_denormals}, kernels<T>(), recorder, {}, x_};
  for_each_task(context, static_cast<Index>(weight_blocks_.size()), [&](Index k) {
    const WeightBlock& block = weight_blocks_[static_cast<std::size_t>(k)];
    fetch_some();
    Layer<T>& layer = *layers_[block.layer];
    const Slice* const weight = block.rows.count > 0 ? &slices_[weight_of_[block.layer]] : nullptr;
    const bool plain = rule.kind == OptimizerKind::sgd && rule.l1 == 0 && !(weight && weight->penalty.l1 > 0);
    if (made || recorder || !plain) {
      if (!made) make_block(pass, batch, block);
      step_block(pass, block, rule);
    } else {
      const Matrix<const T> x = input_of(block.layer, batch);
      if (weight) layer.update_weight(pass, x, block.rows, weight->plain_rule(rule));
      if (block.rows.first == 0) layer.backward_others(pass, x);
    }
    if (block.rows.first == 0)
      for_each_other_slice(block.layer, [&](std::size_t i) {
        step_slice(pass, i, 0, {0, slices_[i].rows ? slices_[i].rows : 1}, rule);
      });
  });
  constrain(context);
}

// Gradients are usually never all there at once: the bound on them tells that none is a NaN or an infinity. Where it
// does not, or where the clipping must see them, all are made and looked at before any parameter changes. The gradient
// block is finite only where every error signal was: a NaN or an infinity in one of them makes the weight gradient of
// its layer NaN or infinite too.
template <class T>
Fault Program<T>::run_step(Context context, const TrainPlan& plan, const Samples<T>& samples, Index step,
                           Recorder<T>* recorder, double* bound, LossResult* loss, ClipEntry* clipped) {
  const Index batch = samples.x.rows;
  StepRule rule = plan.rule;
  rule.learning_rate = plan.learning_rate(step);
  if (rule.kind == OptimizerKind::adam) {
    rule.correction1 = 1 - std::pow(rule.momentum, static_cast<double>(updates_ + 1));
    rule.correction2 = 1 - std::pow(rule.decay, static_cast<double>(updates_ + 1));
  }
  const Mode mode = {true, plan.seed, static_cast<std::uint64_t>(plan.first_step + step), true, true};
  *loss = run_rows(context, plan.loss, samples, mode, recorder);
  Fault fault = std::isfinite(loss->sum) ? Fault::none : Fault::loss;
  const bool looks = plan.clip.kind != ClipKind::none || !plan.amplify.empty();
  const bool sure =
      fault == Fault::none && !looks && check_step(context, gradient_bound(context, batch), rule, bound) == Fault::none;
  if (!sure) {
    run_parameters(context, batch, recorder);
    double steepest = 0;
    if (fault == Fault::none && looks) {
      amplify(context, plan.amplify);
      *clipped = clip(context, plan.clip);
      steepest = clipped->after;
    } else if (fault == Fault::none) {
      steepest = largest_in(context, gradients_.data());
    }
    if (fault == Fault::none) fault = check_step(context, steepest, rule, bound);
  }
  if (fault == Fault::none) {
    step_parameters(context, batch, rule, recorder, !sure);
    ++updates_;
    for (auto& layer : layers_) layer->commit();
  }
  if (looks) std::fill(slice_scales_.begin(), slice_scales_.end(), 1.0);
  if (recorder) recorder->finish(context, fault == Fault::none);
  return fault;
}

#define GRADWELL_INSTANTIATE(T)                                                                                   \
  template double Program<T>::largest(Context, const T*, const Slice&) const;                                     \
  template double Program<T>::largest_in(Context, const T*) const;                                                \
  template Fault Program<T>::check_step(Context, double, const StepRule&, double*) const;                         \
  template void Program<T>::run_parameters(Context, Index, Recorder<T>*);                                         \
  template void Program<T>::step_parameters(Context, Index, const StepRule&, Recorder<T>*, bool);                 \
  template Fault Program<T>::run_step(Context, const TrainPlan&, const Samples<T>&, Index, Recorder<T>*, double*, \
                                      LossResult*, ClipEntry*);
GRADWELL_INSTANTIATE(float)
GRADWELL_INSTANTIATE(double)

}  // namespace gradwell

// One step: a pass, the look at what it found, and the update of the parameters.
#include <cmath>
#include <limits>

#include "core/team.h"
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
// keep * bound + rate * steepest, and only when that nears the end of the format are the parameters looked at.
template <class T>
Fault Program<T>::check_step(Context context, double steepest, Sgd sgd, double* bound) const {
  const double limit = 0.5 * static_cast<double>(std::numeric_limits<T>::max());
  if (!(steepest < limit)) return Fault::gradient;
  const double keep = std::fabs(1.0 - sgd.learning_rate * (sgd.weight_decay + sgd.l2));
  const auto after = [&] {  // the rate as the kernel rounds it: one too large for T is infinite, 0 times it NaN
    return (keep > 1 ? keep : 1.0) * *bound + static_cast<double>(static_cast<T>(sgd.learning_rate)) * steepest;
  };
  if (!(after() < limit)) *bound = largest_in(context, parameters_.data());
  if (!(after() < limit)) return Fault::update;
  *bound = after();
  return Fault::none;
}

template <class T>
template <class Body>
void Program<T>::for_each_other_slice(std::size_t layer, Body&& body) const {
  for (std::size_t i = first_slice_[layer]; i < first_slice_[layer + 1]; ++i)
    if (i != weight_of_[layer] || layers_[layer]->weight_rows() == 0) body(i);
}

// The gradients that a block stands for, in the gradient block, and their record.
template <class T>
void Program<T>::make_block(const Pass<T>& pass, Index batch, const WeightBlock& block) {
  Layer<T>& layer = *layers_[block.layer];
  layer.backward_parameters(pass, input_of(block.layer, batch), block.rows);
  if (block.rows.first > 0) return;
  layer.backward_bias(pass, batch);
  if (!pass.recorder) return;
  for_each_other_slice(block.layer, [&](std::size_t i) {
    const Index size = slices_[i].size();
    pass.recorder->gradient(pass, i, 0, {gradients_.data() + slices_[i].offset, 1, size, size});
  });
}

// A step of some rows of a slice, by their gradient in the gradient block.
template <class T>
void Program<T>::step_slice(const Pass<T>& pass, std::size_t i, Index block, Rows rows, Sgd sgd) {
  const Slice& slice = slices_[i];
  const Sgd rule = slice.rule(sgd);
  const Index offset = slice.offset + rows.first * slice.columns, size = rows.count * slice.columns;
  T* const parameter = parameters_.data() + offset;
  const T* const gradient = gradients_.data() + offset;
  if (pass.recorder) {
    pass.recorder->step(i, block, pass.kernels.sgd.update_recorded(pass.context, rule, parameter, gradient, size));
  } else {
    pass.kernels.sgd.update(pass.context, rule, parameter, gradient, size);
  }
}

template <class T>
void Program<T>::step_block(const Pass<T>& pass, const WeightBlock& block, Sgd sgd) {
  step_slice(pass, weight_of_[block.layer], block.rows.first / layers_[block.layer]->weight_rows(), block.rows, sgd);
}

template <class T>
void Program<T>::run_parameters(Context context, Index batch, Recorder<T>* recorder) {
  const Pass<T> pass = {{1, context.flush_denormals}, kernels<T>(), recorder};
  for_each_task(context, static_cast<Index>(weight_blocks_.size()),
                [&](Index k) { make_block(pass, batch, weight_blocks_[static_cast<std::size_t>(k)]); });
  for (std::size_t layer = 0; recorder && layer < layers_.size(); ++layer) {
    if (layers_[layer]->weight_rows() > 0) continue;
    for_each_other_slice(layer, [&](std::size_t i) {
      const Index size = slices_[i].size();
      recorder->gradient(pass, i, 0, {gradients_.data() + slices_[i].offset, 1, size, size});
    });
  }
}

// `made`: all gradients are in the gradient block. Else each block's are made where its parameters step; without a
// record they are stored nowhere.
template <class T>
void Program<T>::step_parameters(Context context, Index batch, Sgd sgd, Recorder<T>* recorder, bool made) {
  const Pass<T> pass = {{1, context.flush_denormals}, kernels<T>(), recorder};
  const auto step_others = [&](std::size_t layer) {
    for_each_other_slice(
        layer, [&](std::size_t i) { step_slice(pass, i, 0, {0, slices_[i].rows ? slices_[i].rows : 1}, sgd); });
  };
  for_each_task(context, static_cast<Index>(weight_blocks_.size()), [&](Index k) {
    const WeightBlock& block = weight_blocks_[static_cast<std::size_t>(k)];
    fetch_some();
    Layer<T>& layer = *layers_[block.layer];
    if (made || recorder) {
      if (!made) make_block(pass, batch, block);
      step_block(pass, block, sgd);
    } else {
      const Sgd rule = slices_[weight_of_[block.layer]].rule(sgd);
      layer.update_weight(pass, input_of(block.layer, batch), block.rows, rule);
      if (block.rows.first == 0) layer.backward_bias(pass, batch);
    }
    if (block.rows.first == 0) step_others(block.layer);
  });
  for (std::size_t layer = 0; layer < layers_.size(); ++layer)
    if (layers_[layer]->weight_rows() == 0) step_others(layer);
}

// Gradients are usually never all there at once: the bound on them tells that none is a NaN or an infinity. Where it
// does not, all are made and looked at before any parameter changes. The gradient block is finite only where
// every error signal was: a NaN or an infinity in one of them makes the weight gradient of its layer NaN or infinite
// too.
template <class T>
Fault Program<T>::run_step(Context context, const TrainPlan& plan, const Samples<T>& samples, Recorder<T>* recorder,
                           double* bound, LossResult* loss) {
  const Index batch = samples.x.rows;
  *loss = run_rows(context, plan.loss, samples, recorder);
  Fault fault = std::isfinite(loss->sum) ? Fault::none : Fault::loss;
  const bool sure =
      fault == Fault::none && rows_apart_ && check_step(context, gradient_bound(batch), plan.sgd, bound) == Fault::none;
  if (!sure) {
    run_parameters(context, batch, recorder);
    if (fault == Fault::none) fault = check_step(context, largest_in(context, gradients_.data()), plan.sgd, bound);
  }
  if (fault == Fault::none) step_parameters(context, batch, plan.sgd, recorder, !sure);
  if (recorder) recorder->finish(context, fault == Fault::none);
  return fault;
}

#define GRADWELL_INSTANTIATE(T)                                                       \
  template double Program<T>::largest(Context, const T*, const Slice&) const;         \
  template double Program<T>::largest_in(Context, const T*) const;                    \
  template Fault Program<T>::check_step(Context, double, Sgd, double*) const;         \
  template void Program<T>::run_parameters(Context, Index, Recorder<T>*);             \
  template void Program<T>::step_parameters(Context, Index, Sgd, Recorder<T>*, bool); \
  template Fault Program<T>::run_step(Context, const TrainPlan&, const Samples<T>&, Recorder<T>*, double*, LossResult*);
GRADWELL_INSTANTIATE(float)
GRADWELL_INSTANTIATE(double)

}  // namespace gradwell

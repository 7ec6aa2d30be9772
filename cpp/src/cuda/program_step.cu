// One step, captured as a graph: the pass, the look at what it found, the update of the parameters. The host decides
// nothing in between, but for a clipping that remembers earlier norms.
#include <cmath>
#include <cstring>

#include "cuda/run.h"

namespace gradwell {
namespace cuda {
namespace {

constexpr Index most_narrow_rows = 512;  // beyond, cuBLAS has enough to do in each product

template <class T>
const T* as_const_pointer(T* p) {
  return p;
}

}  // namespace

template <class T>
SliceTables<T>::SliceTables(Queue& queue, const NetworkPlan& plan)
    : count(static_cast<Index>(plan.slices.size())), layers(static_cast<Index>(plan.stages.size())) {
  std::vector<Span> all;
  std::vector<int> stage_of;
  for (const Slice& slice : plan.slices) {
    all.push_back({slice.offset, slice.size()});
    stage_of.push_back(slice.stage);
  }
  const std::vector<Piece> cut = cut_spans(all);
  const auto pieces_count = static_cast<Index>(cut.size());
  spans = DeviceBlock<Span>(queue, count);
  pieces = DeviceBlock<Piece>(queue, pieces_count);
  layer_of = DeviceBlock<int>(queue, count);
  rules = DeviceBlock<SliceRule>(queue, count);
  partial = DeviceBlock<double>(queue, norm_scratch<T>(pieces_count));
  norms = DeviceBlock<double>(queue, count);
  norms_after = DeviceBlock<double>(queue, count);
  scales = DeviceBlock<double>(queue, count);
  step_partial = DeviceBlock<StepNorms>(queue, pieces_count);
  step_norms = DeviceBlock<StepNorms>(queue, count);
  copy(queue, spans.data(), static_cast<const Span*>(all.data()), count);
  copy(queue, pieces.data(), cut.data(), pieces_count);
  copy(queue, layer_of.data(), static_cast<const int*>(stage_of.data()), count);
  queue.wait();
}

template <class T>
void SliceTables<T>::rules_for(Queue& queue, const NetworkPlan& plan, const StepRule& rule) {
  std::vector<SliceRule> all;
  most_l1 = rule.l1;
  most_l2 = rule.l2;
  for (const Slice& slice : plan.slices) {
    const StepRule own = slice.rule(rule);
    all.push_back({own.weight_decay, own.l2, own.l1});
    most_l1 = std::max(most_l1, rule.l1 + slice.penalty.l1);
    most_l2 = std::max(most_l2, rule.l2 + slice.penalty.l2);
  }
  copy(queue, rules.data(), static_cast<const SliceRule*>(all.data()), count);
  queue.wait();
}

template <class T>
void CudaProgram<T>::clip_gradients(Run& run) {
  const ClipPlan& clip = run.plan->clip;
  for (const Slice& slice : plan_.slices) {
    T* const gradient = gradients_.data() + slice.offset;
    if (clip.kind == ClipKind::value) {
      clip_by_value(queue_, gradient, clip.limit, slice.size());
    } else {
      const Matrix<const T> weight = {parameters_.data() + slice.offset, std::max<Index>(slice.rows, 1), slice.columns,
                                      slice.columns};
      const Matrix<T> g = {gradient, weight.rows, weight.columns, weight.columns};
      clip_adaptive(queue_, weight, g, clip.limit, clip.floor, slice.rows == 0);
    }
  }
}

// All that a step does, in order, on `rows` rows. What differs from step to step is read from the device.
template <class T>
void CudaProgram<T>::enqueue_step(Run& run, Index rows, CudaRecorder<T>* recorder) {
  if (narrow_ && rows <= most_narrow_rows && run.looks_at_nothing()) return enqueue_narrow_step(run, rows, recorder);
  const TrainPlan& plan = *run.plan;
  const SliceTables<T>& s = *slices_;
  const BatchOfSamples<T> batch =
      batch_.gather(queue_, held_.samples(), held_.order(), state_.data(), plan.batch, rows, run.counts_steps);
  const Pass<T> pass = {queue_, rows, true, state_.data(), batch.lengths, recorder};
  run_forward(pass, batch.x);
  run_loss(pass, plan.loss, batch);
  run_backward(pass, {nullptr, 0, 0, 0});
  run_gradients(pass);
  if (recorder) recorder->measure(queue_);
  for (std::size_t i = 0; i < plan.amplify.size(); ++i)
    if (plan.amplify[i] != 1)
      clip_scale(queue_, gradients_.data() + plan_.slices[i].offset, plan.amplify[i], plan_.slices[i].size());
  slice_norms(queue_, as_const_pointer(gradients_.data()), s.spans.data(), s.count, s.pieces.data(), s.pieces.size(),
              s.partial.data(), s.norms.data());
  const double* after = s.norms.data();
  if (run.changes_gradients()) {
    clip_gradients(run);
    slice_norms(queue_, as_const_pointer(gradients_.data()), s.spans.data(), s.count, s.pieces.data(), s.pieces.size(),
                s.partial.data(), s.norms_after.data());
    after = s.norms_after.data();
  }
  if (run.clips_by_memory()) decide_by_host(run);
  decide<T>(queue_, state_.data(), plan.rule, run.rates.data(), run.one_rate(), plan.clip, s.norms.data(), after,
            run.allowed.data(), s.count, s.layer_of.data(), s.layers, s.scales.data(), s.most_l1, s.most_l2);
  gradwell::StepState<T> states = {};
  for (int k = 0; k < state_count_; ++k) states.state[k] = states_[k].data();
  optimizer_steps(queue_, state_.data(), plan.rule, s.rules.data(), s.scales.data(), parameters_.data(),
                  as_const_pointer(gradients_.data()), states, s.spans.data(), s.count, s.pieces.data(),
                  s.pieces.size(), recorder ? s.step_partial.data() : nullptr,
                  recorder ? s.step_norms.data() : nullptr);
  for (const auto& stage : stages_) stage->commit(pass);
  for (const Slice& slice : plan_.slices) constrain(queue_, state_.data(), slice, parameters_.data() + slice.offset);
  if (recorder) recorder->steps(queue_, s.step_norms.data());
  advance(queue_, state_.data(), run.losses.data(), run.correct.data(),
          plan.clip.kind == ClipKind::none ? nullptr : run.clips.data());
}

// The bound on the gradients takes the place of their norm.
template <class T>
void CudaProgram<T>::enqueue_narrow_step(Run& run, Index rows, CudaRecorder<T>* recorder) {
  const TrainPlan& plan = *run.plan;
  const SliceTables<T>& s = *slices_;
  const BatchOfSamples<T> batch =
      batch_.gather(queue_, held_.samples(), held_.order(), state_.data(), plan.batch, rows, run.counts_steps);
  const Pass<T> pass = {queue_, rows, true, state_.data(), batch.lengths, recorder};
  narrow_->forward(queue_, parameters_.data(), batch.x);
  run_loss(pass, plan.loss, batch);
  narrow_->backward(queue_, parameters_.data(), batch.x, recorder != nullptr);
  for (std::size_t i = 0; recorder && i < stages_.size(); ++i)
    stages_[i]->record(pass, narrow_->output_gradient(i, rows));
  decide<T>(queue_, state_.data(), plan.rule, run.rates.data(), run.one_rate(), plan.clip, narrow_->bound(),
            narrow_->bound(), run.allowed.data(), 1, s.layer_of.data(), s.layers, s.scales.data(), s.most_l1,
            s.most_l2);
  gradwell::StepState<T> states = {};
  for (int k = 0; k < state_count_; ++k) states.state[k] = states_[k].data();
  typename NarrowChain<T>::Recorded recorded;
  if (recorder) recorded = {gradients_.data(), s.step_norms.data()};
  narrow_->update(queue_, plan.rule, s.rules.data(), state_.data(), batch.x, parameters_.data(), states, recorded);
  if (recorder) {
    recorder->measure(queue_);
    recorder->steps(queue_, s.step_norms.data());
  }
  advance(queue_, state_.data(), run.losses.data(), run.correct.data(), nullptr);
}

// The norm that a clipping allows by those it has seen.
template <class T>
void CudaProgram<T>::decide_by_host(Run& run) {
  std::vector<double> norms(static_cast<std::size_t>(slices_->count));
  copy(queue_, norms.data(), static_cast<const double*>(slices_->norms.data()), slices_->count);
  const RunState state = get_state();
  double total = 0;
  for (const double norm : norms) total = std::isnan(norm) ? norm : std::hypot(total, norm);
  if (state.fault != 0 || state.close != 0 || !std::isfinite(state.loss) || !std::isfinite(total)) return;
  if (state.step == run.allowed_step) return;  // it is tried again
  run.allowed_step = state.step;
  const double allowed = run.memory->allowed(total);
  copy(queue_, run.allowed.data(), &allowed, 1);
  queue_.wait();
}

template <class T>
void CudaProgram<T>::forget_graphs() {
  for (const auto& entry : graphs_)
    if (entry.second) cudaGraphExecDestroy(entry.second);
  graphs_.clear();
}

// Captured at the second step of its kind, when libraries have been loaded and products have chosen their way.
template <class T>
cudaGraphExec_t CudaProgram<T>::graph_of(Run& run, Index rows, CudaRecorder<T>* recorder) {
  const auto key = std::make_pair(rows, recorder != nullptr);
  const auto found = graphs_.find(key);
  if (found == graphs_.end()) {
    graphs_.emplace(key, nullptr);
    return nullptr;
  }
  if (found->second) return found->second;
  check_cuda(cudaStreamBeginCapture(queue_.stream(), cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
  cudaGraph_t graph = nullptr;
  try {
    enqueue_step(run, rows, recorder);
  } catch (...) {
    cudaStreamEndCapture(queue_.stream(), &graph);
    if (graph) cudaGraphDestroy(graph);
    throw;
  }
  check_cuda(cudaStreamEndCapture(queue_.stream(), &graph), "cudaStreamEndCapture");
  const cudaError_t error = cudaGraphInstantiate(&found->second, graph, 0);
  cudaGraphDestroy(graph);
  if (error != cudaSuccess) found->second = nullptr;
  check_cuda(error, "cudaGraphInstantiate");
  return found->second;
}

#define GRADWELL_INSTANTIATE(T)                                                     \
  template struct SliceTables<T>;                                                   \
  template void CudaProgram<T>::clip_gradients(Run&);                               \
  template void CudaProgram<T>::enqueue_step(Run&, Index, CudaRecorder<T>*);        \
  template void CudaProgram<T>::enqueue_narrow_step(Run&, Index, CudaRecorder<T>*); \
  template void CudaProgram<T>::decide_by_host(Run&);                               \
  template void CudaProgram<T>::forget_graphs();                                    \
  template cudaGraphExec_t CudaProgram<T>::graph_of(Run&, Index, CudaRecorder<T>*);
GRADWELL_INSTANTIATE(float)
GRADWELL_INSTANTIATE(double)

}  // namespace cuda
}  // namespace gradwell

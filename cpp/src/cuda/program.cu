// A program's memory on the device, and what goes there and comes back.
#include "cuda/program.h"

#include <algorithm>

#include "cuda/recurrent_run.h"
#include "cuda/run.h"

namespace gradwell {
namespace cuda {

template <class T>
CudaProgram<T>::CudaProgram(const NetworkPlan& plan)
    : plan_(plan),
      parameters_(queue_, plan.size),
      gradients_(queue_, plan.size),
      state_(queue_, 1),
      host_state_(1),
      slices_(std::make_unique<SliceTables<T>>(queue_, plan)) {
  Index numbers = 0;
  for (const StagePlan& stage : plan.stages)
    if (stage.buffer >= 0) numbers = std::max(numbers, stage.buffer + 2 * stage.outputs);
  buffers_ = DeviceBlock<double>(queue_, numbers);
  for (std::size_t i = 0; i < plan_.stages.size(); ++i) {
    const StagePlan& stage = plan_.stages[i];
    Stage<T>* const branch = stage.kind == StageKind::joint && stage.from >= 0
                                 ? stages_[static_cast<std::size_t>(stage.from)].get()
                                 : nullptr;
    stages_.push_back(make_stage(static_cast<int>(i), stage, blocks(), branch));
  }
  if (is_narrow<T>(plan_, block_limits().shared_bytes)) narrow_ = std::make_unique<NarrowChain<T>>(queue_, plan_);
}

template <class T>
CudaProgram<T>::~CudaProgram() {
  cudaStreamSynchronize(queue_.stream());
  forget_graphs();
}

template <class T>
void CudaProgram<T>::put(const HostBlocks<T>& from) {
  copy(queue_, parameters_.data(), static_cast<const T*>(from.parameters), plan_.size);
  copy(queue_, gradients_.data(), static_cast<const T*>(from.gradients), plan_.size);
  for (int k = 0; k < most_states; ++k) {
    const bool wanted = k < from.state_count;
    if (wanted && !states_[k].data()) states_[k] = DeviceBlock<T>(queue_, plan_.size);
    if (!wanted && states_[k].data()) {
      queue_.wait();
      states_[k] = {};
    }
    if (wanted) copy(queue_, states_[k].data(), static_cast<const T*>(from.states[k]), plan_.size);
  }
  state_count_ = from.state_count;
  double* to = buffers_.data();
  for (const Buffer& buffer : from.buffers) {
    copy(queue_, to, static_cast<const double*>(buffer.data), buffer.size);
    to += buffer.size;
  }
  queue_.wait();
}

template <class T>
void CudaProgram<T>::get(const HostBlocks<T>& to) {
  copy(queue_, to.parameters, static_cast<const T*>(parameters_.data()), plan_.size);
  copy(queue_, to.gradients, static_cast<const T*>(gradients_.data()), plan_.size);
  for (int k = 0; k < std::min(to.state_count, state_count_); ++k)
    copy(queue_, to.states[k], static_cast<const T*>(states_[k].data()), plan_.size);
  const double* from = buffers_.data();
  for (const Buffer& buffer : to.buffers) {
    copy(queue_, buffer.data, from, buffer.size);
    from += buffer.size;
  }
  queue_.wait();
}

// For so many rows; the graphs, which hold the old places fast, are forgotten.
template <class T>
void CudaProgram<T>::reserve(Index rows) {
  if (arena_.data() && rows <= capacity_) return;
  queue_.wait();
  forget_graphs();
  capacity_ = kept_ = 0;
  arena_ = {};
  Index numbers = 0, widest = plan_.inputs;
  for (const auto& stage : stages_) {
    numbers += stage->kept();
    widest = std::max(widest, stage->plan().outputs * stage->plan().steps);
  }
  arena_ = DeviceBlock<T>(queue_, rows * numbers);
  T* next = arena_.data();
  bool adds = false;
  for (const auto& stage : stages_) {
    stage->bind(queue_, next, rows);
    next += rows * stage->kept();
    adds = adds || stage->plan().adds;
  }
  scratch_ = adds ? DeviceBlock<T>(queue_, rows * widest) : DeviceBlock<T>();
  const StagePlan& last = plan_.stages.back();
  batch_.reserve(queue_, {plan_.inputs, last.outputs * last.steps, plan_.output_steps}, rows);
  costs_ = DeviceBlock<double>(queue_, rows * plan_.output_steps);
  if (narrow_) {
    std::vector<NarrowLayer<T>> layers;
    for (const auto& stage : stages_) {
      const StagePlan& s = stage->plan();
      layers.push_back({s.inputs, s.outputs, s.weight, s.bias, s.activation, stage->output(rows).data,
                        stage->error(rows).data, nullptr});
    }
    narrow_->bind(queue_, std::move(layers), rows);
  }
  capacity_ = rows;
}

template <class T>
void CudaProgram<T>::set_state(const RunState& state) {
  queue_.wait();  // the last copy from here
  host_state_[0] = state;
  copy(queue_, state_.data(), static_cast<const RunState*>(host_state_.data()), 1);
}

template <class T>
RunState CudaProgram<T>::get_state() {
  RunState state;
  copy(queue_, &state, static_cast<const RunState*>(state_.data()), 1);
  queue_.wait();
  return state;
}

template <class T>
void CudaProgram<T>::hold(const Samples<T>& samples) {
  const StagePlan& last = plan_.stages.back();
  held_.hold(queue_, {plan_.inputs, last.outputs * last.steps, plan_.output_steps}, samples);
}

template <class T>
void CudaProgram<T>::release() {
  queue_.wait();
  forget_graphs();
  held_.release();
}

template class CudaProgram<float>;
template class CudaProgram<double>;

}  // namespace cuda
}  // namespace gradwell

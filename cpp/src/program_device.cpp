// A program whose arithmetic is done on another device: what goes there, what comes back, and when.
//
// The blocks on the host stay what Python sees. They are copied to the device before a call where someone may have
// written to them, and back where someone reads them; in between, a fit leaves them alone.
#include <algorithm>

#include "gradwell/check.h"
#include "layers/layer.h"
#include "program_device.h"

namespace gradwell {
namespace {

template <class T>
std::unique_ptr<DeviceProgram<T>> make_program(const DeviceLibrary& library, const NetworkPlan& plan) {
  if constexpr (sizeof(T) == 4) return library.program_float(plan);
  if constexpr (sizeof(T) == 8) return library.program_double(plan);
}

}  // namespace

template <class T>
NetworkPlan Program<T>::plan() const {
  NetworkPlan plan;
  plan.inputs = inputs_;
  plan.steps = steps_;
  plan.output_steps = output_steps_;
  plan.gives_sequences = gives_sequences_;
  plan.size = size_;
  plan.slices = slices_;
  Index buffer = 0;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    StagePlan stage;
    layers_[i]->describe(stage);
    check(stage.kind != StageKind::none, "to", "layer ", stages_[i].name, " is or has ", stage.reason,
          ", which runs on the CPU only");
    const Flow& flow = flow_[i];
    stage.inputs = stages_[i].inputs / stage.steps;
    stage.outputs = stages_[i].outputs / stage.steps;
    stage.from = flow.from;
    stage.skip = flow.skip;
    stage.adds = flow.adds;
    stage.skip_adds = flow.skip_adds;
    stage.joint = flow.joint;
    stage.shortcut = flow.shortcut;
    if (stage.kind == StageKind::batchnorm) stage.buffer = buffer;
    for (const Buffer& b : layers_[i]->buffers()) buffer += b.size;
    plan.stages.push_back(std::move(stage));
  }
  return plan;
}

template <class T>
HostBlocks<T> Program<T>::host_blocks() const {
  HostBlocks<T> blocks;
  blocks.parameters = parameters_.data();
  blocks.gradients = gradients_.data();
  blocks.state_count = states();
  for (int k = 0; k < states(); ++k) blocks.states[k] = states_[k].data();
  blocks.buffers = buffers();
  return blocks;
}

template <class T>
void Program<T>::move_to(const DeviceLibrary* library) {
  Lock lock(*this, true);
  if (!library) {
    fetch();
    device_.reset();
    kept_ = 0;
    return;
  }
  if (device_) return;
  device_ = make_program<T>(*library, plan());
  host_newer_ = true;
  device_newer_ = false;
  kept_ = 0;
}

template <class T>
void Program<T>::fetch() {
  if (!device_ || !device_newer_) return;
  device_->get(host_blocks());
  device_newer_ = false;
}

template <class T>
void Program<T>::lend() {
  ++lent_;
  if (!device_) return;
  Lock lock(*this, true);
  fetch();
  host_newer_ = true;
}

template <class T>
void Program<T>::hold(const Samples<T>& samples) {
  Lock lock(*this, true);
  if (device_) device_->hold(samples);
}

template <class T>
void Program<T>::release() {
  Lock lock(*this, true);
  if (device_) device_->release();
}

#define GRADWELL_INSTANTIATE(T)                            \
  template NetworkPlan Program<T>::plan() const;           \
  template HostBlocks<T> Program<T>::host_blocks() const;  \
  template void Program<T>::move_to(const DeviceLibrary*); \
  template void Program<T>::fetch();                       \
  template void Program<T>::lend();                        \
  template void Program<T>::hold(const Samples<T>&);       \
  template void Program<T>::release();
GRADWELL_INSTANTIATE(float)
GRADWELL_INSTANTIATE(double)

}  // namespace gradwell

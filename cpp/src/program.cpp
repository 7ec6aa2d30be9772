// Building a program: layers are merged into stages, parameters laid out, the arena planned.
#include "gradwell/program.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "gradwell/check.h"
#include "layers/dense.h"
#include "recorder.h"

namespace gradwell {
namespace {

constexpr Index alignment = 16;  // numbers: every slice and buffer starts on 64 bytes, in float32 and float64

Index aligned(Index count) {
  return (count + alignment - 1) / alignment * alignment;
}

// a * b, or an error where that is more than an array can hold.
Index product(Index a, Index b) {
  Index result = 0;
  check(!__builtin_mul_overflow(a, b, &result) && result < std::numeric_limits<Index>::max() / 64, "network", a, " x ",
        b, " numbers are more than memory can hold");
  return result;
}

}  // namespace

template <class T>
Program<T>::Program(std::vector<LayerSpec> specs, Index inputs) : inputs_(inputs) {
  check(inputs >= 1, "network", "input_shape has ", inputs, " values; needs at least 1");
  check(!specs.empty(), "network", "layers is empty; needs at least one layer");
  const auto add_slice = [&](const std::string& layer, const char* what, Index rows, Index columns, bool decays) {
    const std::string name = layer + "." + what;
    for (const Slice& slice : slices_)
      check(slice.name != name, "network", "two layers are named \"", layer, "\"; names must differ");
    slices_.push_back({name, rows, columns, size_, static_cast<int>(stages_.size()), decays});
    check(!__builtin_add_overflow(size_, aligned(product(rows ? rows : 1, columns)), &size_), "network",
          "the parameters are more than memory can hold");
    return slices_.size() - 1;
  };
  Index width = inputs;
  for (std::size_t i = 0; i < specs.size(); ++i) {
    const LayerSpec& spec = specs[i];
    const int stage = static_cast<int>(stages_.size());
    const bool dense = spec.kind == "dense";
    check(dense || spec.kind == "activation" || spec.kind == "prelu", "network", "layer ", spec.name,
          " is of unknown kind \"", spec.kind, '"');
    if (dense) check(spec.units >= 1, "network", "layer ", spec.name, " has ", spec.units, " units; needs at least 1");
    const Index units = dense ? spec.units : width;
    const std::size_t weight = dense ? add_slice(spec.name, "weight", width, units, true) : 0;
    const std::size_t bias = dense && spec.bias ? add_slice(spec.name, "bias", 0, units, false) : 0;
    // A dense layer takes the activation behind it along.
    const LayerSpec* follower =
        !dense ? &spec : (i + 1 < specs.size() && specs[i + 1].kind != "dense" ? &specs[++i] : nullptr);
    const bool learned = follower && follower->kind == "prelu";
    const std::size_t slope = learned ? add_slice(follower->name, "slope", 0, units, false) : 0;
    const ActivationPart<T> part(follower ? follower->activation : Activation{ActivationKind::identity, 0},
                                 learned ? &slices_[slope] : nullptr);
    std::string kind = dense ? "dense" : part.name();
    if (dense && follower) kind += std::string("+") + part.name();
    stages_.push_back({spec.name, kind, width, units});
    if (dense) {
      layers_.push_back(
          std::make_unique<DenseLayer<T>>(stage, slices_[weight], spec.bias ? &slices_[bias] : nullptr, part));
    } else {
      layers_.push_back(std::make_unique<ActivationLayer<T>>(stage, units, part));
    }
    width = units;
  }
  parameters_ = Block<T>(size_);
  gradients_ = Block<T>(size_);
  for (auto& layer : layers_) layer->bind_parameters(parameters_.data(), gradients_.data());
  layer_inputs_.resize(layers_.size());
  recorder_ = std::make_unique<Recorder<T>>(stages_, slices_.size(), dead_window);
}

template <class T>
Program<T>::~Program() = default;

template <class T>
void Program<T>::reserve(Index batch) {
  if (batch <= capacity_) return;
  Index widest = inputs_, total = aligned(product(batch, inputs_)) + aligned(product(batch, outputs()));
  for (const StageInfo& stage : stages_) widest = std::max(widest, stage.outputs);
  for (const auto& layer : layers_) total += aligned(product(batch, layer->kept_columns()));
  const Index signal = aligned(product(batch, widest));
  arena_ = Block<T>(total + 2 * signal);
  classes_ = Block<Index>(batch);
  T* next = arena_.data();
  const auto take = [&](Index count) {
    T* start = next;
    next += aligned(count);
    return start;
  };
  input_ = take(batch * inputs_);
  target_ = take(batch * outputs());
  for (auto& layer : layers_) layer->bind_memory(take(batch * layer->kept_columns()), batch);
  signal_[0] = take(signal);
  signal_[1] = take(signal);
  capacity_ = batch;
  kept_ = 0;
}

template <class T>
Matrix<const T> Program<T>::run_forward(Context context, Matrix<const T> x, Recorder<T>* recorder) {
  const Pass<T> pass = {context, kernels<T>(), recorder};
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    layer_inputs_[i] = x;
    x = layers_[i]->forward(pass, x);
  }
  return x;
}

template <class T>
void Program<T>::run_backward(Context context, Matrix<T> dy, Matrix<T> dx, Recorder<T>* recorder) {
  const Pass<T> pass = {context, kernels<T>(), recorder};
  for (std::size_t i = layers_.size(); i-- > 0;) {
    const Index width = stages_[i].inputs;
    Matrix<T> below = {dy.data == signal_[0] ? signal_[1] : signal_[0], dy.rows, width, width};
    if (i == 0) below = dx;
    layers_[i]->backward(pass, layer_inputs_[i], dy, below);
    dy = below;
  }
  if (!recorder) return;
  for (std::size_t i = 0; i < slices_.size(); ++i)
    recorder->gradient(pass, i, gradients_.data() + slices_[i].offset, slices_[i].size());
}

template class Program<float>;
template class Program<double>;

}  // namespace gradwell

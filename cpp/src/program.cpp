// Building a program: layers are merged into stages, parameters laid out, the arena planned.
#include "gradwell/program.h"

#include <algorithm>
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

// Rows of the arena's matrices start on 64 bytes, and not at a power of two from one another: such rows would share few
// sets of the cache.
template <class T>
Index stride_of(Index columns) {
  const Index stride = aligned(columns);
  return stride * static_cast<Index>(sizeof(T)) % 512 == 0 ? stride + alignment : stride;
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
    first_slice_.push_back(slices_.size());
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
    weight_of_.push_back(weight);
    if (dense) {
      weights_ += width * units;
      largest_weight_ = std::max(largest_weight_, width * units);
      layers_.push_back(
          std::make_unique<DenseLayer<T>>(stage, slices_, weight, spec.bias ? static_cast<int>(bias) : -1, part));
    } else {
      layers_.push_back(std::make_unique<ActivationLayer<T>>(stage, units, part));
    }
    width = units;
  }
  first_slice_.push_back(slices_.size());
  parameters_ = Block<T>(size_);
  gradients_ = Block<T>(size_);
  for (auto& layer : layers_) layer->bind_parameters(parameters_.data(), gradients_.data());
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    rows_apart_ = rows_apart_ && layers_[i]->rows_apart();
    const Index rows = layers_[i]->weight_rows();
    for (Index first = 0; rows > 0 && first < stages_[i].inputs; first += rows)
      weight_blocks_.push_back({i, {first, std::min(rows, stages_[i].inputs - first)}});
  }
  recorder_ = make_recorder(dead_window);
}

template <class T>
Program<T>::~Program() = default;

template <class T>
std::unique_ptr<Recorder<T>> Program<T>::make_recorder(Index window) const {
  std::vector<typename Recorder<T>::Blocks> blocks;
  for (std::size_t i = 0; i < slices_.size(); ++i) {
    const auto layer = static_cast<std::size_t>(slices_[i].stage);
    const Index rows = weight_of_[layer] == i ? layers_[layer]->weight_rows() : 0;
    if (rows > 0) {
      blocks.push_back({(slices_[i].rows + rows - 1) / rows, rows * slices_[i].columns});
    } else {
      blocks.push_back({1, slices_[i].size()});
    }
  }
  return std::make_unique<Recorder<T>>(stages_, std::move(blocks), window);
}

template <class T>
void Program<T>::reserve(Index batch) {
  if (batch <= capacity_) return;
  const auto matrix = [&](Index columns) { return product(batch, stride_of<T>(columns)); };
  Index total = matrix(inputs_) + matrix(outputs());
  for (std::size_t i = 0; i < layers_.size(); ++i) total += layers_[i]->kept_matrices() * matrix(stages_[i].outputs);
  arena_ = Block<T>(total);
  classes_ = Block<Index>(batch);
  costs_ = Block<double>(batch);
  T* next = arena_.data();
  const auto take = [&](Index count) {
    T* start = next;
    next += count;
    return start;
  };
  input_stride_ = stride_of<T>(inputs_);
  input_ = take(matrix(inputs_));
  target_ = take(matrix(outputs()));
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const Index columns = stages_[i].outputs;
    layers_[i]->bind_memory(take(layers_[i]->kept_matrices() * matrix(columns)), batch, stride_of<T>(columns));
  }
  capacity_ = batch;
  kept_ = 0;
}

template class Program<float>;
template class Program<double>;

}  // namespace gradwell

// A program's memory: parameters, gradients, the optimiser's state, and the arena for a batch.
#include "gradwell/program.h"

#include <algorithm>

#include "program_build.h"
#include "program_lock.h"
#include "program_sizes.h"

namespace gradwell {

template <class T>
Program<T>::Program(std::vector<LayerSpec> specs, Index inputs, Index steps, std::vector<Index> image)
    : inputs_(inputs), steps_(std::max<Index>(steps, 1)), reads_sequences_(steps > 0) {
  check(inputs >= 1, "network", "input_shape has ", inputs, " values; needs at least 1");
  check(!specs.empty(), "network", "layers is empty; needs at least one layer");
  Builder(*this, specs, std::move(image)).build();
  parameters_ = Block<T>(size_);
  gradients_ = Block<T>(size_);
  slice_scales_.assign(slices_.size(), 1.0);
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    Layer<T>& layer = *layers_[i];
    layer.bind_parameters(parameters_.data(), gradients_.data());
    rows_apart_ = rows_apart_ && layer.rows_apart();
    if (layer.hooked()) hooked_.push_back(&layer);
    const Index rows = layer.weight_rows();
    const Index all = rows > 0 ? slices_[weight_of_[i]].rows : 0;
    for (Index first = 0; first < all; first += rows)
      weight_blocks_.push_back({i, {first, std::min(rows, all - first)}});
    if (rows == 0 && first_slice_[i] < first_slice_[i + 1]) weight_blocks_.push_back({i, {0, 0}});
    if (layer.sums_on_the_way()) for_each_other_slice(i, [&](std::size_t slice) { on_the_way_.push_back(slice); });
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
  if (arena_.data() && batch <= capacity_) return;
  const auto matrix = [&](Index columns) { return product(batch, stride_of<T>(columns)); };
  // The steps of a sequence lie without gaps.
  const auto stride = [&](const StageInfo& stage) {
    return stage.steps > 1 ? stage.outputs : stride_of<T>(stage.outputs);
  };
  const auto kept = [&](std::size_t i) {
    return layers_[i]->kept_matrices() * aligned(product(batch, stride(stages_[i])));
  };
  Index total = matrix(inputs_) + matrix(outputs());
  for (std::size_t i = 0; i < layers_.size(); ++i) total += kept(i);
  Index widest = inputs_;
  for (const StageInfo& stage : stages_) widest = std::max(widest, stage.outputs);
  if (adds_) total += matrix(widest);
  arena_ = Block<T>();  // the old one first: both need not fit
  capacity_ = 0;
  arena_ = Block<T>(total);
  classes_ = Block<Index>(product(batch, output_steps_));
  lengths_ = Block<Index>(batch);
  costs_ = Block<double>(product(batch, output_steps_));
  T* next = arena_.data();
  const auto take = [&](Index count) {
    T* start = next;
    next += count;
    return start;
  };
  input_stride_ = steps_ > 1 ? inputs_ : stride_of<T>(inputs_);
  input_ = take(matrix(inputs_));
  target_ = take(matrix(outputs()));
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    layers_[i]->bind_memory(take(kept(i)), batch, stride(stages_[i]));
  }
  if (adds_) scratch_ = {take(matrix(widest)), batch, widest, stride_of<T>(widest)};
  capacity_ = batch;
  kept_ = 0;
}

template <class T>
std::vector<Buffer> Program<T>::buffers() const {
  std::vector<Buffer> all;
  for (std::size_t i = 0; i < layers_.size(); ++i)
    for (const Buffer& buffer : layers_[i]->buffers())
      all.push_back({stages_[i].name + "." + buffer.name, buffer.data, buffer.size});
  return all;
}

template <class T>
std::vector<KeptState<T>> Program<T>::kept_states() const {
  std::vector<KeptState<T>> all;
  for (std::size_t i = 0; i < layers_.size(); ++i)
    for (KeptState<T> state : layers_[i]->kept_states()) {
      state.name = stages_[i].name + "." + state.name;
      all.push_back(state);
    }
  return all;
}

template <class T>
void Program<T>::keep_states(const std::vector<KeptState<const T>>& states) {
  Lock lock(*this, true);
  std::size_t known = 0;
  const auto find = [&](const std::string& name) {
    return std::find_if(states.begin(), states.end(), [&](const auto& state) { return state.name == name; });
  };
  for (std::size_t i = 0; i < layers_.size(); ++i)
    for (const std::string& what : layers_[i]->state_names()) {
      const std::string name = stages_[i].name + "." + what;
      const auto state = find(name);
      if (state == states.end()) continue;
      ++known;
      const Index units = layers_[i]->state_units();
      check(state->columns == units && state->rows == states.front().rows, "restore", "state ", name, " has shape (",
            state->rows, ", ", state->columns, "); needs (", states.front().rows, ", ", units, ")");
    }
  std::size_t wanted = 0;
  for (const auto& layer : layers_) wanted += layer->state_names().size();
  check(known == states.size() && (known == 0 || known == wanted), "restore", "there are ", states.size(),
        " kept states, ", known, " of them of this network; it needs all of its ", wanted, ", or none");
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    layers_[i]->forget_state();
    for (const std::string& what : layers_[i]->state_names())
      if (known > 0) {
        const auto state = find(stages_[i].name + "." + what);
        layers_[i]->keep_state(what, state->rows, state->data);
      }
  }
}

template <class T>
void Program<T>::forget_states() {
  Lock lock(*this, true);
  for (auto& layer : layers_) layer->forget_state();
}

template <class T>
void Program<T>::prepare_optimizer(OptimizerKind kind, bool afresh) {
  Lock lock(*this, true);
  if (kind == optimizer_ && !afresh) return;
  fetch();
  host_newer_ = true;
  Block<T> blocks[most_states];
  for (int k = 0; k < states_of(kind); ++k) blocks[k] = Block<T>(size_);
  for (int k = 0; k < most_states; ++k) states_[k] = std::move(blocks[k]);
  optimizer_ = kind;
  updates_ = 0;
  kept_ = 0;  // what was drawn or put back anew belongs to no pass
}

template class Program<float>;
template class Program<double>;

}  // namespace gradwell

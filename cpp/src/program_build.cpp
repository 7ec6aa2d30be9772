#include "program_build.h"

#include <algorithm>
#include <limits>

#include "gradwell/check.h"
#include "layers/batchnorm.h"
#include "layers/convlstm.h"
#include "layers/dense.h"
#include "layers/dropout.h"
#include "layers/embedding.h"
#include "layers/layernorm.h"
#include "layers/per_step.h"
#include "layers/residual.h"
#include "program_sizes.h"

namespace gradwell {

template <class T>
Program<T>::Builder::Builder(Program& program, const std::vector<LayerSpec>& specs, std::vector<Index> image)
    : p_(program), specs_(specs), image_(std::move(image)) {}

template <class T>
int Program<T>::Builder::add_slice(const std::string& layer, const char* what, Index rows, Index columns, bool decays,
                                   Penalty penalty) {
  const std::string name = layer + "." + what;
  for (const Slice& slice : p_.slices_)
    check(slice.name != name, "network", "two layers are named \"", layer, "\"; names must differ");
  p_.slices_.push_back({name, rows, columns, p_.size_, next_stage(), decays, penalty});
  check(!__builtin_add_overflow(p_.size_, aligned(product(rows ? rows : 1, columns)), &p_.size_), "network",
        "the parameters are more than memory can hold");
  p_.penalised_ = p_.penalised_ || penalty.l1 > 0 || penalty.l2 > 0;
  return static_cast<int>(p_.slices_.size()) - 1;
}

// The activation that comes next, if one does, and its slopes: the stage takes it along.
template <class T>
ActivationPart<T> Program<T>::Builder::follower(Index units) {
  const LayerSpec* next = at_ < specs_.size() ? &specs_[at_] : nullptr;
  followed_ = next && (next->kind == "activation" || next->kind == "prelu");
  if (!followed_) return ActivationPart<T>({ActivationKind::identity, 0}, nullptr);
  ++at_;
  if (next->kind == "activation") return ActivationPart<T>(next->activation, nullptr);
  const int slope = add_slice(next->name, "slope", 0, units, false, {});
  return ActivationPart<T>(next->activation, &p_.slices_[static_cast<std::size_t>(slope)]);
}

template <class T>
void Program<T>::Builder::add_stage(const std::string& name, std::string kind, Index units,
                                    std::unique_ptr<Layer<T>> layer) {
  p_.stages_.push_back({name, std::move(kind), width_of(current_), units, current_, -1, sequence_, 0, 0, 0, false});
  Flow flow;
  flow.from = current_;
  p_.flow_.push_back(flow);
  p_.layers_.push_back(std::move(layer));
  current_ = next_stage() - 1;
}

// Layers whose parameters belong to columns go over every step of a sequence by itself.
template <class T>
std::unique_ptr<Layer<T>> Program<T>::Builder::by_steps(Index units, std::unique_ptr<Layer<T>> layer) {
  if (sequence_ == 1) return layer;
  return std::make_unique<PerStepLayer<T>>(next_stage(), width_of(current_), units, sequence_, std::move(layer));
}

template <class T>
RecurrentSlices Program<T>::Builder::add_direction(const LayerSpec& spec, const std::string& prefix) {
  const Index hidden = spec.units, inputs = width_of(current_) / sequence_, wide = gates_of(spec.cell.kind) * hidden;
  const auto add = [&](const char* what, Index rows, Index columns, bool decays, Penalty penalty) {
    return add_slice(spec.name, (prefix + what).c_str(), rows, columns, decays, penalty);
  };
  RecurrentSlices s;
  s.weight = add("weight", inputs, wide, true, spec.weight_penalty);
  s.recurrent_weight = add("recurrent_weight", hidden, wide, true, spec.recurrent_penalty);
  if (spec.bias) s.bias = add("bias", 0, wide, false, spec.bias_penalty);
  if (spec.recurrent_bias) s.recurrent_bias = add("recurrent_bias", 0, hidden, false, {});
  if (spec.peephole) s.peephole = add("peephole", 3, hidden, false, {});
  if (spec.cell.normalises) {
    s.gain = add("gain", 0, wide, false, {});
    s.recurrent_gain = add("recurrent_gain", 0, wide, false, {});
    s.cell_gain = add("cell_gain", 0, hidden, false, {});
    s.cell_shift = add("cell_shift", 0, hidden, false, {});
  }
  p_.weights_ += (inputs + hidden) * wide * sequence_;
  p_.largest_weight_ = std::max({p_.largest_weight_, inputs * wide, hidden * wide});
  return s;
}

template <class T>
void Program<T>::Builder::add_recurrent(const LayerSpec& spec) {
  image_.clear();
  static const char* const names[] = {"rnn", "lstm", "gru", "gru"};
  check(spec.units >= 1, "network", "layer ", spec.name, " has ", spec.units, " units; needs at least 1");
  const Index steps = sequence_, inputs = width_of(current_) / steps;
  std::vector<RecurrentSlices> slices = {add_direction(spec, "")};
  if (spec.both) slices.push_back(add_direction(spec, "backward_"));
  std::vector<RecurrenceSettings> directions(slices.size(), spec.cell);
  for (RecurrenceSettings& d : directions) {
    d.inputs = inputs;
    d.hidden = spec.units;
  }
  if (spec.both) directions[1].reverse = !directions[0].reverse;
  auto layer = std::make_unique<RecurrentLayer<T>>(next_stage(), steps, p_.slices_, directions, slices, spec.sequences,
                                                   spec.stateful);
  const Index units = spec.units * static_cast<Index>(slices.size());
  if (!spec.sequences) end_sequence();
  add_stage(spec.name, std::string(spec.both ? "bidirectional " : "") + names[static_cast<int>(spec.cell.kind)],
            units * sequence_, std::move(layer));
  StageInfo& stage = p_.stages_.back();
  stage.time_steps = steps;
  stage.time_quantities = time_quantities(spec.cell.kind);
  stage.directions = static_cast<int>(slices.size());
  stage.backwards = spec.cell.reverse;
}

template <class T>
void Program<T>::Builder::add_convlstm(const LayerSpec& spec) {
  check(image_.size() == 3, "network", "layer ", spec.name,
        " is a ConvLSTM but reads no images; needs (time, channels, ", "height, width)");
  const Index around = spec.kernel * spec.kernel, wide = 4 * spec.units;
  ConvLstmSettings s = {sequence_, image_[0], image_[1], image_[2], spec.units, spec.kernel, spec.sequences, 0, 0, -1};
  s.weight =
      static_cast<std::size_t>(add_slice(spec.name, "weight", around * image_[0], wide, true, spec.weight_penalty));
  s.recurrent_weight = static_cast<std::size_t>(
      add_slice(spec.name, "recurrent_weight", around * spec.units, wide, true, spec.recurrent_penalty));
  if (spec.bias) s.bias = add_slice(spec.name, "bias", 0, wide, false, spec.bias_penalty);
  p_.weights_ += around * (image_[0] + spec.units) * wide * sequence_ * image_[1] * image_[2];
  auto layer = std::make_unique<ConvLstmLayer<T>>(next_stage(), s, p_.slices_);
  image_[0] = spec.units;
  if (!spec.sequences) end_sequence();
  add_stage(spec.name, "conv lstm", spec.units * image_[1] * image_[2] * sequence_, std::move(layer));
  StageInfo& stage = p_.stages_.back();
  stage.time_steps = s.steps;
  stage.time_quantities = time_quantities(CellKind::lstm);
  stage.directions = 1;
}

template <class T>
void Program<T>::Builder::add_embedding(const LayerSpec& spec) {
  check(current_ < 0, "network", "embedding ", spec.name, " is not the first layer; it reads the input");
  const int weight = add_slice(spec.name, "weight", spec.vocabulary, spec.units, false, spec.weight_penalty);
  const Slice& slice = p_.slices_[static_cast<std::size_t>(weight)];
  sequential_ = true;
  sequence_ = p_.inputs_;
  add_stage(spec.name, "embedding", spec.units * sequence_,
            std::make_unique<EmbeddingLayer<T>>(next_stage(), sequence_, slice));
}

template <class T>
void Program<T>::Builder::add_dense(const LayerSpec& spec) {
  image_.clear();
  check(spec.units >= 1, "network", "layer ", spec.name, " has ", spec.units, " units; needs at least 1");
  const Index width = width_of(current_) / sequence_;
  const int weight = add_slice(spec.name, "weight", width, spec.units, true, spec.weight_penalty);
  Slice& slice = p_.slices_.back();
  slice.constraint = spec.constraint;
  slice.constraint_limit = spec.constraint_limit;
  p_.constrained_ = p_.constrained_ || spec.constraint != Constraint::none;
  const int bias = spec.bias ? add_slice(spec.name, "bias", 0, spec.units, false, spec.bias_penalty) : -1;
  p_.weight_of_.back() = static_cast<std::size_t>(weight);
  p_.weights_ += width * spec.units * sequence_;
  p_.largest_weight_ = std::max(p_.largest_weight_, width * spec.units);
  const ActivationPart<T> part = follower(spec.units);
  add_stage(
      spec.name, followed_ ? std::string("dense+") + part.name() : "dense", spec.units * sequence_,
      by_steps(spec.units * sequence_, std::make_unique<DenseLayer<T>>(next_stage(), p_.slices_,
                                                                       static_cast<std::size_t>(weight), bias, part)));
}

template <class T>
void Program<T>::Builder::add_activation(const LayerSpec& spec) {
  --at_;
  const Index units = width_of(current_) / sequence_;
  const ActivationPart<T> part = follower(units);
  add_stage(spec.name, part.name(), width_of(current_),
            by_steps(width_of(current_), std::make_unique<ActivationLayer<T>>(next_stage(), units, part)));
}

template <class T>
void Program<T>::Builder::add_normalisation(const LayerSpec& spec) {
  const Index units = width_of(current_) / sequence_;
  NormSettings settings = {spec.epsilon, spec.momentum, -1, -1};
  if (spec.gamma) settings.gamma = add_slice(spec.name, "gamma", 0, units, false, {});
  if (spec.beta) settings.beta = add_slice(spec.name, "beta", 0, units, false, {});
  const ActivationPart<T> part = follower(units);
  std::unique_ptr<Layer<T>> layer;
  if (spec.kind == "batchnorm") {
    layer = std::make_unique<BatchNormLayer<T>>(next_stage(), units, p_.slices_, settings, part);
  } else {
    layer = std::make_unique<LayerNormLayer<T>>(next_stage(), units, p_.slices_, settings, part);
  }
  add_stage(spec.name, followed_ ? spec.kind + "+" + part.name() : spec.kind, units * sequence_,
            by_steps(units * sequence_, std::move(layer)));
}

template <class T>
void Program<T>::Builder::add_dropout(const LayerSpec& spec) {
  const Index units = width_of(current_);
  add_stage(spec.name, "dropout", units, std::make_unique<DropoutLayer<T>>(next_stage(), units, spec.rate));
}

template <class T>
void Program<T>::Builder::begin_shortcut(const LayerSpec&) {
  OpenBlock& block = open_.back();
  block.branch = current_;
  block.branch_width = width_of(current_);
  current_ = block.begin;
  std::swap(sequence_, block.steps);  // of the branch's end from here on
  std::swap(sequential_, block.sequential);
}

template <class T>
void Program<T>::Builder::close_block(const LayerSpec& spec) {
  OpenBlock block = open_.back();
  open_.pop_back();
  const bool shortcut = block.branch != -2;
  const int branch = shortcut ? block.branch : current_;
  const int skip = shortcut ? current_ : block.begin;
  check(branch >= block.first, "network", "the residual block ", spec.name, " is empty; needs at least one layer");
  check(width_of(branch) == width_of(skip), "network", "the residual block ", spec.name, " adds a branch of ",
        width_of(branch), " outputs to ", width_of(skip), "; give shortcut=Dense(", width_of(branch), ")");
  current_ = branch;
  if (shortcut) {
    sequence_ = block.steps;
    sequential_ = block.sequential;
  }
  const Index units = width_of(branch);
  int scale = -1;
  if (block.spec->learned) scale = add_slice(spec.name, "scale", 0, 1, false, {});
  check(sequence_ == 1 || at_ >= specs_.size() || specs_[at_].kind != "prelu", "network",
        "prelu follows the residual block ", spec.name, " of sequences; put another layer between them");
  const ActivationPart<T> part = follower(units);
  const auto layer_at = [&](int stage) {
    return stage < 0 ? nullptr : p_.layers_[static_cast<std::size_t>(stage)].get();
  };
  const int joint = next_stage();
  add_stage(spec.name, followed_ ? std::string("residual+") + part.name() : "residual", units,
            std::make_unique<JointLayer<T>>(joint, units, layer_at(branch), layer_at(skip), block.spec->scale,
                                            scale < 0 ? nullptr : &p_.slices_[static_cast<std::size_t>(scale)], part));
  p_.flow_.back().skip = skip;
  Flow& first = p_.flow_[static_cast<std::size_t>(block.first)];
  if (p_.stages_[static_cast<std::size_t>(block.first)].from == block.begin && first.joint < 0) first.joint = joint;
  if (shortcut) {
    p_.flow_[static_cast<std::size_t>(skip)].joint = joint;
    p_.flow_[static_cast<std::size_t>(skip)].shortcut = true;
  }
}

// Gradients go back in reverse order: the first to reach a value writes, those that follow add.
template <class T>
void Program<T>::Builder::direct_flow() {
  const std::size_t count = p_.flow_.size();
  std::vector<int> readers(count + 1, 0);
  const auto reader = [&](int stage) -> int& { return readers[static_cast<std::size_t>(stage + 1)]; };
  for (std::size_t i = count; i-- > 0;) {
    Flow& flow = p_.flow_[i];
    if (flow.skip > -2) flow.skip_adds = reader(flow.skip)++ > 0;
    flow.adds = reader(flow.from)++ > 0;
    p_.adds_ = p_.adds_ || flow.adds;
  }
  for (std::size_t i = 0; i < count; ++i) {
    StageInfo& stage = p_.stages_[i];
    if (stage.from < 0) continue;
    auto& below = p_.stages_[static_cast<std::size_t>(stage.from)];
    below.above = static_cast<int>(i);  // the last that reads it: the joint, where one does
    const bool joint = p_.flow_[i].skip > -2;
    p_.flow_[static_cast<std::size_t>(stage.from)].fusible = reader(stage.from) == 1 && !joint;
  }
  for (std::size_t i = 0; i < count; ++i)
    if (p_.flow_[i].skip >= 0) {
      p_.stages_[static_cast<std::size_t>(p_.flow_[i].skip)].above = static_cast<int>(i);
      p_.flow_[static_cast<std::size_t>(p_.flow_[i].skip)].fusible = false;
    }
  for (const Flow& flow : p_.flow_)
    if (flow.shortcut && flow.from >= 0) p_.stages_[static_cast<std::size_t>(flow.from)].above = flow.joint;
}

template <class T>
void Program<T>::Builder::build() {
  sequential_ = p_.reads_sequences_;
  sequence_ = p_.steps_;
  while (at_ < specs_.size()) {
    const LayerSpec& spec = specs_[at_++];
    const bool stage = spec.kind != "residual" && spec.kind != "shortcut" && spec.kind != "flatten";
    if (stage) {
      p_.first_slice_.push_back(p_.slices_.size());
      p_.weight_of_.push_back(std::numeric_limits<std::size_t>::max());
    }
    if (spec.kind == "recurrent") {
      add_recurrent(spec);
    } else if (spec.kind == "convlstm") {
      add_convlstm(spec);
    } else if (spec.kind == "embedding") {
      add_embedding(spec);
    } else if (spec.kind == "flatten") {
      end_sequence();
    } else if (spec.kind == "dense") {
      add_dense(spec);
    } else if (spec.kind == "activation" || spec.kind == "prelu") {
      add_activation(spec);
    } else if (spec.kind == "batchnorm" || spec.kind == "layernorm") {
      add_normalisation(spec);
    } else if (spec.kind == "dropout") {
      add_dropout(spec);
    } else if (spec.kind == "residual") {
      open_.push_back({&spec, current_, next_stage(), -2, 0, sequence_, sequential_});
    } else if (spec.kind == "shortcut") {
      begin_shortcut(spec);
    } else {
      check(spec.kind == "end" && !open_.empty(), "network", "layer ", spec.name, " is of unknown kind \"", spec.kind,
            '"');
      close_block(spec);
    }
  }
  check(open_.empty() && !p_.stages_.empty(), "network", "a residual block is not closed");
  p_.first_slice_.push_back(p_.slices_.size());
  p_.output_steps_ = sequence_;
  p_.gives_sequences_ = sequential_;
  direct_flow();
}

template class Program<float>::Builder;
template class Program<double>::Builder;

}  // namespace gradwell

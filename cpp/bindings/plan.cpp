#include "plan.h"

#include <cmath>

#include "array.h"
#include "names.h"
#include "rules.h"

namespace gradwell::bindings {
namespace {

Penalty penalty(const py::dict& layer, const char* l1, const char* l2) {
  return {py::cast<double>(layer[l1]), py::cast<double>(layer[l2])};
}

}  // namespace

LayerSpec parse_layer(const py::dict& layer) {
  LayerSpec spec;
  spec.kind = py::cast<std::string>(layer["kind"]);
  spec.name = py::cast<std::string>(layer["name"]);
  if (spec.kind == "dense") {
    spec.units = py::cast<Index>(layer["units"]);
    spec.bias = py::cast<bool>(layer["bias"]);
    spec.weight_penalty = penalty(layer, "weight_l1", "weight_l2");
    spec.bias_penalty = penalty(layer, "bias_l1", "bias_l2");
    const auto constraint = py::cast<std::string>(layer["constraint"]);
    spec.constraint = constraint == "max_norm" ? Constraint::max_norm
                      : constraint == "clip"   ? Constraint::clip
                                               : Constraint::none;
    spec.constraint_limit = py::cast<double>(layer["limit"]);
  } else if (spec.kind == "recurrent") {
    const auto cell = py::cast<std::string>(layer["cell"]);
    spec.units = py::cast<Index>(layer["units"]);
    spec.bias = py::cast<bool>(layer["bias"]);
    spec.cell.kind = cell == "lstm"  ? CellKind::lstm
                     : cell == "rnn" ? CellKind::rnn
                                     : (py::cast<bool>(layer["reset_after"]) ? CellKind::gru : CellKind::gru_before);
    spec.cell.activation = parse_activation("network", layer["activation"], py::none()).kind;
    spec.cell.reverse = py::cast<bool>(layer["reverse"]);
    spec.cell.advance = py::cast<Index>(layer["advance"]);
    spec.cell.reach = py::cast<Index>(layer["reach"]);
    spec.cell.normalises = py::cast<bool>(layer["normalises"]);
    spec.cell.omega = py::cast<double>(layer["omega"]);
    spec.both = py::cast<bool>(layer["both"]);
    spec.sequences = py::cast<bool>(layer["sequences"]);
    spec.stateful = py::cast<bool>(layer["stateful"]);
    spec.recurrent_bias = spec.bias && spec.cell.kind == CellKind::gru;
    spec.peephole = py::cast<bool>(layer["peephole"]);
    spec.weight_penalty = penalty(layer, "weight_l1", "weight_l2");
    spec.recurrent_penalty = penalty(layer, "recurrent_l1", "recurrent_l2");
    spec.bias_penalty = penalty(layer, "bias_l1", "bias_l2");
  } else if (spec.kind == "convlstm") {
    spec.units = py::cast<Index>(layer["filters"]);
    spec.kernel = py::cast<Index>(layer["kernel"]);
    spec.bias = py::cast<bool>(layer["bias"]);
    spec.sequences = py::cast<bool>(layer["sequences"]);
    spec.weight_penalty = penalty(layer, "weight_l1", "weight_l2");
    spec.recurrent_penalty = penalty(layer, "recurrent_l1", "recurrent_l2");
    spec.bias_penalty = penalty(layer, "bias_l1", "bias_l2");
  } else if (spec.kind == "embedding") {
    spec.units = py::cast<Index>(layer["units"]);
    spec.vocabulary = py::cast<Index>(layer["vocabulary"]);
  } else if (spec.kind == "activation") {
    spec.activation = parse_activation("network", layer["activation"], layer["alpha"]);
  } else if (spec.kind == "batchnorm" || spec.kind == "layernorm") {
    spec.epsilon = py::cast<double>(layer["epsilon"]);
    spec.momentum = py::cast<double>(layer["momentum"]);
    spec.gamma = py::cast<bool>(layer["gamma"]);
    spec.beta = py::cast<bool>(layer["beta"]);
  } else if (spec.kind == "dropout") {
    spec.rate = py::cast<double>(layer["rate"]);
  } else if (spec.kind == "residual") {
    spec.scale = py::cast<double>(layer["scale"]);
    spec.learned = py::cast<bool>(layer["learned"]);
  }
  return spec;
}

TrainPlan Plan::parse(std::size_t slices) const {
  check(batch >= 1, "fit", "batch_size is ", batch, "; needs at least 1");
  check(!learning_rates.empty(), "fit", "learning_rates is empty; needs at least one");
  for (const double rate : learning_rates)
    check(std::isfinite(rate) && rate >= 0, "fit", "learning_rate is ", rate, "; needs a finite number of at least 0");
  check(amplify.empty() || amplify.size() == slices, "fit", "amplify has ", amplify.size(), " factors but there are ",
        slices, " parameters");
  TrainPlan plan;
  plan.loss = parse_loss("fit", py::str(loss));
  plan.rule = parse_rule("fit", rule);
  plan.learning_rates = learning_rates;
  plan.clip = parse_clip("fit", clip);
  plan.amplify = amplify;
  plan.seed = seed;
  plan.batch = batch;
  plan.first_step = first_step;
  plan.record_every = record_every;
  return plan;
}

}  // namespace gradwell::bindings

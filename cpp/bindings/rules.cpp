#include "rules.h"

#include <cmath>
#include <limits>

#include "array.h"

namespace gradwell::bindings {
namespace {

template <class Kind, std::size_t N>
Kind kind_of(const char* op, const char* argument, const std::string& name, const char* const (&names)[N]) {
  for (std::size_t k = 0; k < N; ++k)
    if (name == names[k]) return static_cast<Kind>(k);
  check(false, op, argument, " is \"", name, "\"; it is unknown");
  return {};
}

double setting(const char* op, const py::dict& from, const char* name, double otherwise, double low, double high) {
  if (!from.contains(name)) return otherwise;
  const double value = number(op, name, from[name]);
  check(std::isfinite(value) && value >= low && value <= high, op, name, " is ", value, "; needs a finite number from ",
        low, " to ", high);
  return value;
}

}  // namespace

StepRule parse_rule(const char* op, const py::dict& rule) {
  static const char* const names[] = {"sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "rprop"};
  const double most = std::numeric_limits<double>::max(), below_one = 1 - 1e-12;
  StepRule r;
  r.kind = kind_of<OptimizerKind>(op, "optimizer", py::cast<std::string>(rule["name"]), names);
  r.learning_rate = setting(op, rule, "learning_rate", 0, 0, most);
  r.weight_decay = setting(op, rule, "weight_decay", 0, 0, most);
  r.l2 = setting(op, rule, "l2", 0, 0, most);
  r.l1 = setting(op, rule, "l1", 0, 0, most);
  r.momentum = setting(op, rule, "momentum", 0, 0, below_one);
  r.dampening = setting(op, rule, "dampening", 0, 0, 1);
  r.decay = setting(op, rule, "decay", 0, 0, below_one);
  r.epsilon = setting(op, rule, "epsilon", 0, 0, most);
  r.smallest = setting(op, rule, "smallest", 0, 0, most);
  r.largest = setting(op, rule, "largest", 0, 0, most);
  return r;
}

ClipPlan parse_clip(const char* op, const py::object& clip) {
  if (clip.is_none()) return {};
  static const char* const names[] = {"none", "value", "norm", "layer", "adaptive", "percentile", "zscore"};
  const py::dict settings = py::cast<py::dict>(clip);
  const double most = std::numeric_limits<double>::max();
  ClipPlan plan;
  plan.kind = kind_of<ClipKind>(op, "clip", py::cast<std::string>(settings["name"]), names);
  plan.limit = setting(op, settings, "limit", 0, 0, most);
  plan.floor = setting(op, settings, "floor", plan.floor, 0, most);
  plan.warm_up = static_cast<Index>(setting(op, settings, "warm_up", 0, 0, 1e9));
  return plan;
}

}  // namespace gradwell::bindings

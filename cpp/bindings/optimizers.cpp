#include "gradwell/optimizers.h"

#include "array.h"
#include "bindings.h"
#include "gradwell/device.h"
#include "rules.h"

namespace gradwell::bindings {
namespace {

// `rule` names one of the optimisers; `step` is t, counted from 1.
void update(const py::str& operation, const py::object& parameter, const py::object& gradient, const py::list& states,
            const py::dict& rule, Index step) {
  const auto name = py::cast<std::string>(operation);
  const char* const op = name.c_str();
  StepRule r = parse_rule(op, rule);
  check(step >= 1, op, "step is ", step, "; needs at least 1");
  r.correction1 = 1 - __builtin_pow(r.momentum, static_cast<double>(step));
  r.correction2 = 1 - __builtin_pow(r.decay, static_cast<double>(step));
  by_dtype(op, "parameter", parameter, [&](auto zero) {
    using T = decltype(zero);
    py::array p = writable<T>(op, "parameter", parameter, "parameter");
    auto g = input_flat<T>(op, "gradient", gradient, "parameter");
    check(same_shape(p, g.owner), op, "gradient has shape ", shape_of(g.owner), " but parameter has ", shape_of(p));
    if (overlap(p, g.owner) && p.data() != g.owner.data())
      g = input_flat<T>(op, "gradient", g.owner.attr("copy")(), "parameter");
    StepState<T> state = {};
    std::vector<py::array> kept;
    for (std::size_t k = 0; k < states.size() && k < static_cast<std::size_t>(most_states); ++k) {
      kept.push_back(writable<T>(op, "state", states[k], "parameter"));
      check(same_shape(p, kept.back()), op, "state has shape ", shape_of(kept.back()), " but parameter has ",
            shape_of(p));
      check(!overlap(kept.back(), p) && !overlap(kept.back(), g.owner), op,
            "state shares memory with parameter or gradient; needs memory of its own");
      for (std::size_t other = 0; other < k; ++other)
        check(!overlap(kept.back(), kept[other]), op, "two states share memory; each needs its own");
      state.state[k] = static_cast<T*>(kept.back().mutable_data());
    }
    check(static_cast<int>(kept.size()) == states_of(r.kind), op, "has ", kept.size(), " states; needs ",
          states_of(r.kind));
    T* data = static_cast<T*>(p.mutable_data());
    call([&](Context c) { placed_kernels<T>().optimizers.update(c, r, data, g.data, state, g.size); });
  });
}

}  // namespace

void register_optimizers(py::module_& m) {
  m.def("optimizer_update", update, py::arg("operation"), py::arg("parameter"), py::arg("gradient"), py::arg("states"),
        py::arg("rule"), py::arg("step"));
}

}  // namespace gradwell::bindings

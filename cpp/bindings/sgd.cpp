#include "gradwell/sgd.h"

#include <cmath>

#include "array.h"
#include "bindings.h"
#include "gradwell/kernels.h"

namespace gradwell::bindings {

void check_sgd(const char* op, const Sgd& sgd) {
  const auto positive = [&](const char* name, double value) {
    check_scalar(std::isfinite(value) && value >= 0, op, name, value, "a finite number of at least 0");
  };
  positive("learning_rate", sgd.learning_rate);
  positive("weight_decay", sgd.weight_decay);
  positive("l2", sgd.l2);
}

namespace {

void update(const py::object& parameter, const py::object& gradient, const py::object& learning_rate,
            const py::object& weight_decay, const py::object& l2) {
  constexpr const char* op = "sgd_update";
  const Sgd sgd = {number(op, "learning_rate", learning_rate), number(op, "weight_decay", weight_decay),
                   number(op, "l2", l2)};
  check_sgd(op, sgd);
  by_dtype(op, "parameter", parameter, [&](auto zero) {
    using T = decltype(zero);
    py::array p = as_array(op, "parameter", parameter);
    const auto flags = p.attr("flags");
    check(p.writeable(), op, "parameter is read-only; needs an array that can be written");
    check(py::cast<bool>(flags.attr("c_contiguous")) && py::cast<bool>(flags.attr("aligned")), op,
          "parameter is not contiguous or not aligned; needs a C-contiguous array");
    auto g = input_flat<T>(op, "gradient", gradient, "parameter");
    check(same_shape(p, g.owner), op, "gradient has shape ", shape_of(g.owner), " but parameter has ", shape_of(p));
    if (py::cast<bool>(py::module_::import("numpy").attr("may_share_memory")(p, g.owner)) && p.data() != g.owner.data())
      g = input_flat<T>(op, "gradient", g.owner.attr("copy")(), "parameter");
    T* data = static_cast<T*>(p.mutable_data());
    call([&](Context c) { kernels<T>().sgd.update(c, sgd, data, g.data, g.size); });
  });
}

}  // namespace

void register_sgd(py::module_& m) {
  m.def("sgd_update", update, py::arg("parameter"), py::arg("gradient"), py::arg("learning_rate"),
        py::arg("weight_decay"), py::arg("l2"));
}

}  // namespace gradwell::bindings

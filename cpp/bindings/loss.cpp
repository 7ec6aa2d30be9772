#include "gradwell/loss.h"

#include <numeric>
#include <vector>

#include "gradwell/device.h"
#include "names.h"
#include "targets.h"

namespace gradwell::bindings {
namespace {

py::object evaluate(const std::string& name, const py::object& outputs, const py::object& targets) {
  const LossKind kind = parse_loss("loss", py::str(name));
  const char* const op = name.c_str();
  return by_dtype(op, "outputs", outputs, [&](auto zero) -> py::object {
    using T = decltype(zero);
    const auto a = input_matrix<T>(op, "outputs", outputs);
    check(a.view.rows > 0 && a.view.columns > 0, op, "outputs has shape ", shape_of(a.owner),
          "; needs at least one row and one column");
    const auto t = input_targets<T>(op, "targets", targets, a.view.rows, a.view.columns);
    auto d = output_matrix<T>(a.view.rows, a.view.columns);
    std::vector<double> costs(static_cast<std::size_t>(a.view.rows));
    call([&](Context c) {
      return placed_kernels<T>().loss.evaluate(c, kind, a.view, t.view, a.view.rows, d.view, costs.data());
    });
    const double sum = std::accumulate(costs.begin(), costs.end(), 0.0);
    return py::make_tuple(sum / static_cast<double>(a.view.rows), std::move(d.owner));
  });
}

}  // namespace

void register_loss(py::module_& m) {
  m.def("loss", evaluate, py::arg("loss"), py::arg("outputs"), py::arg("targets"));
}

}  // namespace gradwell::bindings

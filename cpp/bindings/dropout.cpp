#include "gradwell/dropout.h"

#include "array.h"
#include "bindings.h"
#include "gradwell/device.h"

namespace gradwell::bindings {
namespace {

py::tuple forward(const py::object& x, const py::object& rate, std::uint64_t seed, std::uint64_t step,
                  std::uint32_t layer) {
  constexpr const char* op = "dropout_forward";
  const double r = number(op, "rate", rate);
  check_scalar(r >= 0 && r < 1, op, "rate", r, "a number from 0 to below 1");
  return by_dtype(op, "x", x, [&](auto zero) -> py::tuple {
    using T = decltype(zero);
    const auto in = input_matrix<T>(op, "x", x);
    auto y = output_matrix<T>(in.view.rows, in.view.columns);
    auto mask = output_matrix<T>(in.view.rows, in.view.columns);
    call([&](Context c) {
      placed_kernels<T>().dropout.forward(c, in.view, r, {seed, step, layer}, 0, mask.view, y.view);
    });
    return py::make_tuple(std::move(y.owner), std::move(mask.owner));
  });
}

}  // namespace

void register_dropout(py::module_& m) {
  m.def("dropout_forward", forward, py::arg("x"), py::arg("rate"), py::arg("seed"), py::arg("step"), py::arg("layer"));
}

}  // namespace gradwell::bindings

#include "gradwell/clipping.h"

#include <cmath>

#include "array.h"
#include "bindings.h"
#include "gradwell/device.h"

namespace gradwell::bindings {
namespace {

double above_zero(const char* op, const char* name, const py::object& object) {
  const double value = number(op, name, object);
  check_scalar(std::isfinite(value) && value > 0, op, name, value, "a finite number above 0");
  return value;
}

template <class T>
T* in_place(const char* op, const py::array& array) {
  const auto flags = array.attr("flags");
  check(array.writeable(), op, "gradient is read-only; needs an array that can be written");
  check(py::cast<bool>(flags.attr("c_contiguous")) && py::cast<bool>(flags.attr("aligned")), op,
        "gradient is not contiguous or not aligned; needs a C-contiguous array");
  return static_cast<T*>(py::array(array).mutable_data());
}

// The norm of each array; "" or what makes it not finite is left to Python.
double norm(const py::object& gradient) {
  return by_dtype("norm", "gradient", gradient, [&](auto zero) -> double {
    using T = decltype(zero);
    const auto g = input_flat<T>("norm", "gradient", gradient);
    return call([&](Context c) { return placed_kernels<T>().clipping.norm(c, g.data, g.size); });
  });
}

void scale(const py::str& operation, const py::object& gradient, double factor) {
  const auto op = py::cast<std::string>(operation);
  by_dtype(op.c_str(), "gradient", gradient, [&](auto zero) {
    using T = decltype(zero);
    const py::array array = as_array(op.c_str(), "gradient", gradient);
    T* const data = in_place<T>(op.c_str(), array);
    const Index size = array.size();
    if (factor != 1) call([&](Context c) { placed_kernels<T>().clipping.scale(c, data, factor, size); });
  });
}

void by_value(const py::str& operation, const py::object& gradient, const py::object& limit) {
  const auto op = py::cast<std::string>(operation);
  const double most = above_zero(op.c_str(), "limit", limit);
  by_dtype(op.c_str(), "gradient", gradient, [&](auto zero) {
    using T = decltype(zero);
    const py::array array = as_array(op.c_str(), "gradient", gradient);
    T* const data = in_place<T>(op.c_str(), array);
    const Index size = array.size();
    call([&](Context c) { placed_kernels<T>().clipping.by_value(c, data, most, size); });
  });
}

Index adaptive(const py::object& gradient, const py::object& weight, const py::object& ratio, const py::object& floor) {
  constexpr const char* op = "clip_adaptive";
  const double r = above_zero(op, "ratio", ratio), f = above_zero(op, "floor", floor);
  return by_dtype(op, "gradient", gradient, [&](auto zero) -> Index {
    using T = decltype(zero);
    const py::array array = as_array(op, "gradient", gradient);
    check(array.ndim() == 2, op, "gradient has shape ", shape_of(array), "; needs 2 dimensions");
    T* const data = in_place<T>(op, array);
    const auto w = input_matrix<T>(op, "weight", weight, "gradient");
    check(same_shape(array, w.owner), op, "gradient has shape ", shape_of(array), " but weight has ",
          shape_of(w.owner));
    const Matrix<T> g = {data, array.shape(0), array.shape(1), array.shape(1)};
    return call([&](Context c) { return placed_kernels<T>().clipping.adaptive(c, w.view, g, r, f); });
  });
}

Index max_norm(const py::object& weight, const py::object& limit) {
  constexpr const char* op = "max_norm";
  const double most = above_zero(op, "limit", limit);
  return by_dtype(op, "weight", weight, [&](auto zero) -> Index {
    using T = decltype(zero);
    const py::array array = as_array(op, "weight", weight);
    check(array.ndim() == 2, op, "weight has shape ", shape_of(array), "; needs 2 dimensions");
    T* const data = in_place<T>(op, array);
    const Matrix<T> w = {data, array.shape(0), array.shape(1), array.shape(1)};
    return call([&](Context c) { return placed_kernels<T>().clipping.max_norm(c, w, most); });
  });
}

}  // namespace

void register_clipping(py::module_& m) {
  const auto operation = py::arg("operation"), gradient = py::arg("gradient");
  m.def("norm", norm, gradient);
  m.def("scale", scale, operation, gradient, py::arg("factor"));
  m.def("clip_by_value", by_value, operation, gradient, py::arg("limit"));
  m.def("clip_adaptive", adaptive, gradient, py::arg("weight"), py::arg("ratio"), py::arg("floor"));
  m.def("max_norm", max_norm, py::arg("weight"), py::arg("limit"));
}

}  // namespace gradwell::bindings

#include "gradwell/activation.h"

#include "array.h"
#include "gradwell/device.h"
#include "names.h"

namespace gradwell::bindings {
namespace {

template <class Pick>
py::object map(const char* operation, const py::object& x, const py::object& name, const py::object& alpha, Pick pick) {
  const Activation activation = parse_activation(operation, name, alpha);
  return by_dtype(operation, "x", x, [&](auto zero) -> py::object {
    using T = decltype(zero);
    const auto in = input_flat<T>(operation, "x", x);
    auto out = output_like<T>(in.owner);
    T* y = out.mutable_data();
    call([&](Context c) {
      pick(placed_kernels<T>().activation)(c, activation, {in.data, 1, in.size, in.size}, {y, 1, in.size, in.size});
    });
    return out;
  });
}

py::object forward(const py::object& x, const py::object& name, const py::object& alpha) {
  return map("activation_forward", x, name, alpha, [](const auto& k) { return k.forward; });
}

py::object derivative(const py::object& x, const py::object& name, const py::object& alpha) {
  return map("activation_derivative", x, name, alpha, [](const auto& k) { return k.derivative; });
}

py::object backward(const py::object& dy, const py::object& name, const py::object& x, const py::object& y,
                    const py::object& alpha) {
  constexpr const char* op = "activation_backward";
  const Activation activation = parse_activation(op, name, alpha);
  check(x.is_none() != y.is_none(), op, "needs exactly one of x and y; got ", x.is_none() ? "neither" : "both");
  const bool output = x.is_none();
  check(!output || derivative_from_output(activation.kind), op, "the derivative of ", Spelled{name},
        " does not follow from y; give x instead");
  const char* const which = output ? "y" : "x";
  return by_dtype(op, "dy", dy, [&](auto zero) -> py::object {
    using T = decltype(zero);
    const auto upstream = input_flat<T>(op, "dy", dy);
    const auto saved = input_flat<T>(op, which, output ? y : x, "dy");
    check(same_shape(upstream.owner, saved.owner), op, "dy has shape ", shape_of(upstream.owner), " but ", which,
          " has ", shape_of(saved.owner));
    auto out = output_like<T>(upstream.owner);
    T* dx = out.mutable_data();
    const Index n = upstream.size;
    call([&](Context c) {
      placed_kernels<T>().activation.backward(c, activation, output ? Saved::output : Saved::input,
                                              {upstream.data, 1, n, n}, {saved.data, 1, n, n}, {dx, 1, n, n});
    });
    return out;
  });
}

template <class T>
InputVector<T> slopes(const char* op, const py::object& slope, Index units, const char* first) {
  auto vector = input_vector<T>(op, "slope", slope, first);
  check(vector.size == units, op, "slope has ", vector.size, " values but x has ", units, " columns");
  return vector;
}

py::object prelu_forward(const py::object& x, const py::object& slope) {
  constexpr const char* op = "prelu_forward";
  return by_dtype(op, "x", x, [&](auto zero) -> py::object {
    using T = decltype(zero);
    const auto in = input_matrix<T>(op, "x", x);
    const auto k = slopes<T>(op, slope, in.view.columns, "x");
    auto out = output_matrix<T>(in.view.rows, in.view.columns);
    call([&](Context c) { placed_kernels<T>().activation.prelu_forward(c, in.view, k.data, out.view); });
    return std::move(out.owner);
  });
}

py::object prelu_backward(const py::object& dy, const py::object& x, const py::object& slope) {
  constexpr const char* op = "prelu_backward";
  return by_dtype(op, "dy", dy, [&](auto zero) -> py::object {
    using T = decltype(zero);
    const auto upstream = input_matrix<T>(op, "dy", dy);
    const auto in = input_matrix<T>(op, "x", x, "dy");
    check(same_shape(upstream.owner, in.owner), op, "dy has shape ", shape_of(upstream.owner), " but x has ",
          shape_of(in.owner));
    const auto k = slopes<T>(op, slope, in.view.columns, "dy");
    auto dx = output_matrix<T>(in.view.rows, in.view.columns);
    py::array_t<T> dslope(in.view.columns);
    T* sums = dslope.mutable_data();
    call([&](Context c) {
      placed_kernels<T>().activation.prelu_backward(c, upstream.view, in.view, k.data, dx.view, sums);
    });
    return py::make_tuple(std::move(dx.owner), std::move(dslope));
  });
}

}  // namespace

void register_activation(py::module_& m) {
  m.def("activation_forward", forward, py::arg("x"), py::arg("activation"), py::arg("alpha"));
  m.def("activation_derivative", derivative, py::arg("x"), py::arg("activation"), py::arg("alpha"));
  m.def("activation_backward", backward, py::arg("dy"), py::arg("activation"), py::arg("x"), py::arg("y"),
        py::arg("alpha"));
  m.def("prelu_forward", prelu_forward, py::arg("x"), py::arg("slope"));
  m.def("prelu_backward", prelu_backward, py::arg("dy"), py::arg("x"), py::arg("slope"));
}

}  // namespace gradwell::bindings

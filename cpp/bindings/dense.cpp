#include "gradwell/dense.h"

#include "array.h"
#include "gradwell/device.h"
#include "names.h"

namespace gradwell::bindings {
namespace {

py::object forward(const py::object& x, const py::object& weight, const py::object& bias, const py::object& name,
                   const py::object& alpha) {
  constexpr const char* op = "dense_forward";
  const Activation activation = parse_activation(op, name, alpha);
  return by_dtype(op, "x", x, [&](auto zero) -> py::object {
    using T = decltype(zero);
    const auto in = input_matrix<T>(op, "x", x);
    const auto w = input_matrix<T>(op, "weight", weight);
    check(w.view.rows == in.view.columns, op, "weight has ", w.view.rows, " rows but x has ", in.view.columns,
          " columns");
    InputVector<T> b = {py::array(), nullptr, 0};
    if (!bias.is_none()) {
      b = input_vector<T>(op, "bias", bias);
      check(b.size == w.view.columns, op, "bias has ", b.size, " values but weight has ", w.view.columns, " columns");
    }
    auto y = output_matrix<T>(in.view.rows, w.view.columns);
    call([&](Context c) {
      placed_kernels<T>().dense.forward(c, in.view, w.view, b.data, activation, {nullptr, 0, 0, 0}, y.view);
    });
    return std::move(y.owner);
  });
}

py::object backward(const py::object& dy, const py::object& x, const py::object& weight, const py::object& name,
                    const py::object& y, const py::object& z, const py::object& alpha, bool need_dx) {
  constexpr const char* op = "dense_backward";
  const Activation activation = parse_activation(op, name, alpha);
  const bool plain = activation.kind == ActivationKind::identity;
  const bool output = z.is_none();
  check(plain || z.is_none() != y.is_none(), op, "activation ", Spelled{name}, " needs exactly one of y and z; got ",
        z.is_none() ? "neither" : "both");
  check(plain || !output || derivative_from_output(activation.kind), op, "the derivative of ", Spelled{name},
        " does not follow from y; give z instead");
  return by_dtype(op, "dy", dy, [&](auto zero) -> py::object {
    using T = decltype(zero);
    const auto upstream = input_matrix<T>(op, "dy", dy);
    const auto in = input_matrix<T>(op, "x", x, "dy");
    const auto w = input_matrix<T>(op, "weight", weight, "dy");
    check(in.view.rows == upstream.view.rows, op, "dy has ", upstream.view.rows, " rows but x has ", in.view.rows);
    check(w.view.rows == in.view.columns, op, "weight has ", w.view.rows, " rows but x has ", in.view.columns,
          " columns");
    check(w.view.columns == upstream.view.columns, op, "weight has ", w.view.columns, " columns but dy has ",
          upstream.view.columns);
    InputMatrix<T> delta = upstream;
    OutputMatrix<T> product;
    if (!plain) {
      const char* const which = output ? "y" : "z";
      const auto saved = input_matrix<T>(op, which, output ? y : z, "dy");
      check(same_shape(saved.owner, upstream.owner), op, which, " has shape ", shape_of(saved.owner), " but dy has ",
            shape_of(upstream.owner));
      product = output_matrix<T>(upstream.view.rows, upstream.view.columns);
      call([&](Context c) {
        placed_kernels<T>().activation.backward(c, activation, output ? Saved::output : Saved::input, upstream.view,
                                                saved.view, product.view);
      });
      delta.view = {product.view.data, product.view.rows, product.view.columns, product.view.stride};
    }
    auto dweight = output_matrix<T>(w.view.rows, w.view.columns);
    py::array_t<T> dbias(w.view.columns);
    T* sums = dbias.mutable_data();
    OutputMatrix<T> dx;
    if (need_dx) dx = output_matrix<T>(in.view.rows, in.view.columns);
    call([&](Context c) {
      const auto& dense = placed_kernels<T>().dense;
      dense.backward_weight(c, in.view, delta.view, dweight.view);
      dense.backward_bias(c, delta.view, sums);
      if (need_dx) dense.backward_input(c, delta.view, w.view, {}, dx.view);
    });
    const py::object first = need_dx ? py::object(std::move(dx.owner)) : py::object(py::none());
    return py::make_tuple(first, std::move(dweight.owner), std::move(dbias));
  });
}

}  // namespace

void register_dense(py::module_& m) {
  m.def("dense_forward", forward, py::arg("x"), py::arg("weight"), py::arg("bias"), py::arg("activation"),
        py::arg("alpha"));
  m.def("dense_backward", backward, py::arg("dy"), py::arg("x"), py::arg("weight"), py::arg("activation"), py::arg("y"),
        py::arg("z"), py::arg("alpha"), py::arg("need_dx"));
}

}  // namespace gradwell::bindings

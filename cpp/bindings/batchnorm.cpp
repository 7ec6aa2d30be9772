#include "gradwell/batchnorm.h"

#include <cmath>

#include "array.h"
#include "bindings.h"
#include "gradwell/device.h"
#include "names.h"

namespace gradwell::bindings {
namespace {

double positive(const char* op, const char* name, const py::object& object) {
  const double value = number(op, name, object);
  check_scalar(std::isfinite(value) && value > 0, op, name, value, "a finite number above 0");
  return value;
}

// A vector of `size` numbers of T, or null for None.
template <class T>
InputVector<T> optional_vector(const char* op, const char* name, const py::object& object, Index size) {
  if (object.is_none()) return {py::array(), nullptr, 0};
  auto vector = input_vector<T>(op, name, object, "x");
  check(vector.size == size, op, name, " has ", vector.size, " values but x has ", size, " columns");
  return vector;
}

InputVector<double> moments(const char* op, const char* name, const py::object& object, Index size, const char* what) {
  auto vector = input_vector<double>(op, name, object, "the moments");
  check(vector.size == size, op, name, " has ", vector.size, " values but x has ", size, " ", what);
  return vector;
}

py::tuple batch_forward(const py::object& x, const py::object& gamma, const py::object& beta, const py::object& mean,
                        const py::object& variance, const py::object& epsilon, const py::object& activation,
                        const py::object& alpha) {
  constexpr const char* op = "batchnorm_forward";
  const Activation f = parse_activation(op, activation, alpha);
  const double eps = positive(op, "epsilon", epsilon);
  return by_dtype(op, "x", x, [&](auto zero) -> py::tuple {
    using T = decltype(zero);
    const auto in = input_matrix<T>(op, "x", x);
    const Index columns = in.view.columns;
    const auto g = optional_vector<T>(op, "gamma", gamma, columns);
    const auto b = optional_vector<T>(op, "beta", beta, columns);
    auto y = output_matrix<T>(in.view.rows, columns);
    if (!mean.is_none()) {
      const auto m = moments(op, "mean", mean, columns, "columns");
      const auto v = moments(op, "variance", variance, columns, "columns");
      call([&](Context c) {
        placed_kernels<T>().batchnorm.inference(c, in.view, g.data, b.data, m.data, v.data, eps, f, {nullptr, 0, 0, 0},
                                                y.view);
      });
      return py::make_tuple(std::move(y.owner), m.owner, v.owner);
    }
    check(in.view.rows > 1, op, "x has ", in.view.rows, " rows; needs at least 2, or mean and variance");
    py::array_t<double> found_mean(columns), found_variance(columns);
    double* const m = found_mean.mutable_data();
    double* const v = found_variance.mutable_data();
    call([&](Context c) {
      placed_kernels<T>().batchnorm.forward(c, in.view, g.data, b.data, eps, f, {nullptr, 0, 0, 0}, y.view, m, v);
    });
    return py::make_tuple(std::move(y.owner), std::move(found_mean), std::move(found_variance));
  });
}

py::tuple batch_backward(const py::object& dy, const py::object& x, const py::object& gamma, const py::object& mean,
                         const py::object& variance, const py::object& epsilon, bool constant) {
  constexpr const char* op = "batchnorm_backward";
  const double eps = positive(op, "epsilon", epsilon);
  return by_dtype(op, "dy", dy, [&](auto zero) -> py::tuple {
    using T = decltype(zero);
    const auto upstream = input_matrix<T>(op, "dy", dy);
    const auto in = input_matrix<T>(op, "x", x, "dy");
    const Index columns = in.view.columns;
    check(same_shape(upstream.owner, in.owner), op, "dy has shape ", shape_of(upstream.owner), " but x has ",
          shape_of(in.owner));
    const auto g = optional_vector<T>(op, "gamma", gamma, columns);
    const auto m = moments(op, "mean", mean, columns, "columns");
    const auto v = moments(op, "variance", variance, columns, "columns");
    auto dx = output_matrix<T>(in.view.rows, columns);
    py::array_t<T> dgamma(columns), dbeta(columns);
    T* const to_gamma = dgamma.mutable_data();
    T* const to_beta = dbeta.mutable_data();
    call([&](Context c) {
      placed_kernels<T>().batchnorm.backward(c, upstream.view, in.view, g.data, m.data, v.data, eps, constant, to_gamma,
                                             to_beta, dx.view);
    });
    return py::make_tuple(std::move(dx.owner), std::move(dgamma), std::move(dbeta));
  });
}

py::tuple layer_forward(const py::object& x, const py::object& gamma, const py::object& beta, const py::object& epsilon,
                        const py::object& activation, const py::object& alpha) {
  constexpr const char* op = "layernorm_forward";
  const Activation f = parse_activation(op, activation, alpha);
  const double eps = positive(op, "epsilon", epsilon);
  return by_dtype(op, "x", x, [&](auto zero) -> py::tuple {
    using T = decltype(zero);
    const auto in = input_matrix<T>(op, "x", x);
    check(in.view.columns > 0, op, "x has 0 columns; needs at least 1");
    const auto g = optional_vector<T>(op, "gamma", gamma, in.view.columns);
    const auto b = optional_vector<T>(op, "beta", beta, in.view.columns);
    auto y = output_matrix<T>(in.view.rows, in.view.columns);
    py::array_t<double> mean(in.view.rows), variance(in.view.rows);
    double* const m = mean.mutable_data();
    double* const v = variance.mutable_data();
    call([&](Context c) {
      placed_kernels<T>().layernorm.forward(c, in.view, g.data, b.data, eps, f, {nullptr, 0, 0, 0}, y.view, m, v);
    });
    return py::make_tuple(std::move(y.owner), std::move(mean), std::move(variance));
  });
}

py::tuple layer_backward(const py::object& dy, const py::object& x, const py::object& gamma, const py::object& mean,
                         const py::object& variance, const py::object& epsilon) {
  constexpr const char* op = "layernorm_backward";
  const double eps = positive(op, "epsilon", epsilon);
  return by_dtype(op, "dy", dy, [&](auto zero) -> py::tuple {
    using T = decltype(zero);
    const auto upstream = input_matrix<T>(op, "dy", dy);
    const auto in = input_matrix<T>(op, "x", x, "dy");
    check(same_shape(upstream.owner, in.owner), op, "dy has shape ", shape_of(upstream.owner), " but x has ",
          shape_of(in.owner));
    check(in.view.columns > 0, op, "x has 0 columns; needs at least 1");
    const auto g = optional_vector<T>(op, "gamma", gamma, in.view.columns);
    const auto m = moments(op, "mean", mean, in.view.rows, "rows");
    const auto v = moments(op, "variance", variance, in.view.rows, "rows");
    auto dx = output_matrix<T>(in.view.rows, in.view.columns);
    py::array_t<T> dgamma(in.view.columns), dbeta(in.view.columns);
    T* const to_gamma = dgamma.mutable_data();
    T* const to_beta = dbeta.mutable_data();
    call([&](Context c) {
      const auto& k = placed_kernels<T>().layernorm;
      k.backward_input(c, upstream.view, in.view, g.data, m.data, v.data, eps, dx.view);
      k.backward_parameters(c, upstream.view, in.view, m.data, v.data, eps, to_gamma, to_beta);
    });
    return py::make_tuple(std::move(dx.owner), std::move(dgamma), std::move(dbeta));
  });
}

}  // namespace

void register_batchnorm(py::module_& m) {
  const auto dy = py::arg("dy"), x = py::arg("x"), gamma = py::arg("gamma"), beta = py::arg("beta");
  const auto mean = py::arg("mean"), variance = py::arg("variance"), epsilon = py::arg("epsilon");
  const auto activation = py::arg("activation"), alpha = py::arg("alpha");
  m.def("batchnorm_forward", batch_forward, x, gamma, beta, mean, variance, epsilon, activation, alpha);
  m.def("batchnorm_backward", batch_backward, dy, x, gamma, mean, variance, epsilon, py::arg("constant"));
  m.def("layernorm_forward", layer_forward, x, gamma, beta, epsilon, activation, alpha);
  m.def("layernorm_backward", layer_backward, dy, x, gamma, mean, variance, epsilon);
}

}  // namespace gradwell::bindings

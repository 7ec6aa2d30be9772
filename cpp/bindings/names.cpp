#include "names.h"

#include <cmath>
#include <optional>

#include "array.h"

namespace gradwell::bindings {
namespace {

constexpr const char* activations[] = {"identity", "sigmoid", "tanh",     "relu", "leaky_relu",
                                       "elu",      "selu",    "softplus", "silu", "gelu"};
constexpr const char* losses[] = {"softmax_cross_entropy", "sigmoid_cross_entropy", "quadratic", "mean_squared_error"};

template <std::size_t N>
int find(const char* operation, const char* what, const py::object& object, const char* const (&names)[N]) {
  const std::string name = text(operation, what, object);
  for (std::size_t i = 0; i < N; ++i)
    if (name == names[i]) return static_cast<int>(i);
  std::string known;
  for (std::size_t i = 0; i < N; ++i) known += (i ? ", " : "") + std::string(names[i]);
  fail(operation, what, " is \"", name, "\"; needs one of ", known);
}

}  // namespace

Activation parse_activation(const char* operation, const py::object& name, const py::object& given) {
  std::optional<double> alpha;
  if (!given.is_none()) alpha = number(operation, "alpha", given);
  const auto kind = static_cast<ActivationKind>(find(operation, "activation", name, activations));
  if (kind == ActivationKind::leaky_relu) {
    const double slope = alpha.value_or(0.01);
    check_scalar(std::isfinite(slope) && slope >= 0, operation, "alpha", slope, "a finite number of at least 0");
    return {kind, slope};
  }
  if (kind == ActivationKind::elu) {
    const double scale = alpha.value_or(1.0);
    check_scalar(std::isfinite(scale) && scale > 0, operation, "alpha", scale, "a finite number above 0");
    return {kind, scale};
  }
  check(!alpha, operation, "alpha is ", alpha.value_or(0), " but ", Spelled{name}, " has none; leaky_relu and elu do");
  return {kind, 0};
}

LossKind parse_loss(const char* operation, const py::object& name) {
  return static_cast<LossKind>(find(operation, "loss", name, losses));
}

}  // namespace gradwell::bindings

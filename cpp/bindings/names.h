// Names as users write them, and what they stand for.
#pragma once

#include <string>

#include "bindings.h"
#include "gradwell/types.h"

namespace gradwell::bindings {

// Throws where the name is unknown, where alpha is out of range, or given to an activation that has none.
Activation parse_activation(const char* operation, const pybind11::object& name, const pybind11::object& alpha);
LossKind parse_loss(const char* operation, const pybind11::object& name);

}  // namespace gradwell::bindings

// Names as users write them, and what they stand for.
#pragma once

#include <optional>
#include <string>

#include "bindings.h"
#include "gradwell/types.h"

namespace gradwell::bindings {

// Throws where the name is unknown, where alpha is out of range, or given to an activation that has none.
Activation parse_activation(const char* operation, const std::string& name, std::optional<double> alpha);
LossKind parse_loss(const char* operation, const std::string& name);

}  // namespace gradwell::bindings

// Optimisers and clipping as Python describes them: dictionaries with a name and settings that it has checked.
#pragma once

#include <pybind11/pybind11.h>

#include "gradwell/clipping.h"
#include "gradwell/optimizers.h"

namespace gradwell::bindings {

// Throws by `operation` where a setting is out of range. The learning rate may be missing.
StepRule parse_rule(const char* operation, const pybind11::dict& rule);
ClipPlan parse_clip(const char* operation, const pybind11::object& clip);

}  // namespace gradwell::bindings

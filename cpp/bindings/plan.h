// What Python tells the program about its layers and about a run of steps.
#pragma once

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "gradwell/program.h"

namespace gradwell::bindings {

LayerSpec parse_layer(const pybind11::dict& layer);

struct Plan {
  std::string loss;
  pybind11::dict rule;
  std::vector<double> learning_rates;
  pybind11::object clip;
  std::vector<double> amplify;
  std::uint64_t seed;
  Index batch, first_step, record_every;

  // Throws where a setting is out of range. `slices` is how many parameters there are.
  TrainPlan parse(std::size_t slices) const;
};

}  // namespace gradwell::bindings

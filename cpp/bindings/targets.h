// Targets as users give them: class numbers, or an array of the shape of the outputs.
#pragma once

#include "array.h"
#include "gradwell/loss.h"

namespace gradwell::bindings {

template <class T>
struct InputTargets {
  py::array owner;
  Targets<T> view;
};

// Class numbers are int64, one a row or one a step, checked against [0, outputs of a step); values have dtype T and
// shape (rows, outputs).
template <class T>
InputTargets<T> input_targets(const char* op, const char* name, const py::object& object, Index rows, Index outputs,
                              Index steps = 1) {
  const py::array array = as_array(op, name, object);
  if (!py::isinstance<py::array_t<Index>>(array)) {
    auto values = input_matrix<T>(op, name, object, "the outputs");
    if (steps > 1 && values.view.stride != values.view.columns) {
      values.owner = contiguous<T>(values.owner);
      values.view = {static_cast<const T*>(values.owner.data()), values.view.rows, values.view.columns,
                     values.view.columns};
    }
    check(values.view.rows == rows && values.view.columns == outputs, op, name, " has shape ", shape_of(values.owner),
          " but the outputs have (", rows, ", ", outputs, ")");
    return {values.owner, {nullptr, values.view}};
  }
  const auto classes = input_vector<Index>(op, name, object);
  check(classes.size == rows * steps, op, name, " has ", classes.size, " class numbers but there are ", rows, " rows",
        steps > 1 ? " of sequences" : "");
  const Index units = outputs / steps;
  for (Index i = 0; i < rows * steps; ++i)
    check(classes.data[i] >= 0 && classes.data[i] < units, op, name, " has class ", classes.data[i], " in row ",
          i / steps, " but there are ", units, " outputs; needs 0 to ", units - 1);
  return {classes.owner, {classes.data, {nullptr, 0, 0, 0}}};
}

}  // namespace gradwell::bindings

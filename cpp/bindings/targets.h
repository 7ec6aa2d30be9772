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

// Class numbers are int64, checked against [0, outputs); values have dtype T and shape (rows, outputs).
template <class T>
InputTargets<T> input_targets(const char* op, const char* name, const py::object& object, Index rows, Index outputs) {
  const py::array array = as_array(op, name, object);
  if (!py::isinstance<py::array_t<Index>>(array)) {
    const auto values = input_matrix<T>(op, name, object, "the outputs");
    check(values.view.rows == rows && values.view.columns == outputs, op, name, " has shape ", shape_of(values.owner),
          " but the outputs have (", rows, ", ", outputs, ")");
    return {values.owner, {nullptr, values.view}};
  }
  const auto classes = input_vector<Index>(op, name, object);
  check(classes.size == rows, op, name, " has ", classes.size, " class numbers but there are ", rows, " rows");
  for (Index i = 0; i < rows; ++i)
    check(classes.data[i] >= 0 && classes.data[i] < outputs, op, name, " has class ", classes.data[i], " in row ", i,
          " but there are ", outputs, " outputs; needs 0 to ", outputs - 1);
  return {classes.owner, {classes.data, {nullptr, 0, 0, 0}}};
}

}  // namespace gradwell::bindings

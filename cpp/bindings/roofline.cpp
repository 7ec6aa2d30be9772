#include "gradwell/roofline.h"

#include "array.h"
#include "bindings.h"
#include "gradwell/kernels.h"

namespace gradwell::bindings {
namespace {

Index multiply_adds(Index count) {
  check(count >= 0 && count < Index{1} << 50, "multiply_adds", "count is ", count, "; needs 0 to 2^50");
  return call([&](Context) { return kernels<float>().roofline.multiply_adds(count); });
}

float read(const py::object& array) {
  const auto in = input_flat<float>("read", "array", array);
  return call([&](Context) { return kernels<float>().roofline.read(in.data, in.size); });
}

}  // namespace

void register_roofline(py::module_& m) {
  m.def("multiply_adds", multiply_adds, py::arg("count"));
  m.def("read", read, py::arg("array"));
}

}  // namespace gradwell::bindings

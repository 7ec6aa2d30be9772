#include "gradwell/device.h"

#include <pybind11/stl.h>

#include "array.h"
#include "bindings.h"

namespace gradwell::bindings {
namespace {

py::dict facts_of(const DeviceLibrary& library) {
  DeviceFacts facts;
  {
    const py::gil_scoped_release release;
    facts = library.facts();
  }
  py::dict result;
  result["name"] = facts.name;
  result["compute_capability"] = py::make_tuple(facts.major, facts.minor);
  result["processors"] = facts.processors;
  result["memory"] = facts.memory;
  result["free"] = facts.free;
  result["driver"] = facts.driver;
  result["runtime"] = facts.runtime;
  return result;
}

py::dict open_library(const std::string& path) {
  const DeviceLibrary* library = nullptr;
  {
    const py::gil_scoped_release release;
    library = &open_device_library(path);
  }
  return facts_of(*library);
}

void set_precision(const std::string& name) {
  const DeviceLibrary* const library = device_library();
  check(library, "set_cuda_precision", "no CUDA library has been opened");
  const bool tf32 = name == "tf32", bf16 = name == "bfloat16";
  check(tf32 || bf16 || name == "float32", "set_cuda_precision", "precision is \"", name,
        "\"; needs \"float32\", \"tf32\" or \"bfloat16\"");
  library->set_precision(tf32 ? Precision::tf32 : (bf16 ? Precision::bf16 : Precision::float32));
}

std::pair<std::vector<double>, Index> time_kernel(const std::string& name, Index bytes, int repeats) {
  const char* const operation = "time_device_kernel";
  const DeviceLibrary* const library = device_library();
  check(library, operation, "no CUDA library has been opened");
  check(bytes >= 8192, operation, "bytes is ", bytes, "; needs 8192 or more");
  check(repeats >= 1, operation, "repeats is ", repeats, "; needs 1 or more");
  const py::gil_scoped_release release;
  const KernelTiming timing = library->time_kernel(name, bytes, repeats);
  return {timing.seconds, timing.bytes_moved};
}

}  // namespace

void register_device(py::module_& m) {
  m.def("open_device_library", open_library, py::arg("path"));
  m.def("place_kernels", place_kernels, py::arg("on_device"));
  m.def("kernels_on_device", kernels_on_device);
  m.def("set_device_precision", set_precision, py::arg("name"));
  m.def("time_device_kernel", time_kernel, py::arg("name"), py::arg("bytes"), py::arg("repeats"));
}

}  // namespace gradwell::bindings

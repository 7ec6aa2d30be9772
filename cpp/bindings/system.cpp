#include <pybind11/stl.h>

#include "array.h"
#include "bindings.h"
#include "gradwell/kernels.h"

namespace gradwell::bindings {
namespace {

std::string compiler() {
#if defined(__clang__)
  return "clang " __clang_version__;
#else
  return "gcc " __VERSION__;
#endif
}

py::dict build_info() {
  py::dict info;
  info["version"] = GRADWELL_VERSION;
  info["compiler"] = compiler();
  info["cpu_level"] = level_name();
  info["cpu_levels"] = runnable_levels();
  info["threads"] = num_threads();
  return info;
}

void set_threads(const py::object& count) {
  constexpr const char* op = "set_num_threads";
  check<TypeError>(py::isinstance<py::int_>(count) && !py::isinstance<py::bool_>(count), op, "count is of type ",
                   type_name(count), "; needs an int");
  const auto number = py::cast<long long>(count);
  check(number >= 1 && number <= 1024, op, "count is ", number, "; needs 1 to 1024");
  set_num_threads(static_cast<int>(number));
}

void set_worth(Index waking, Index sharing, Index team) {
  worth() = {waking, sharing, team};
}

py::tuple get_worth() {
  return py::make_tuple(worth().waking, worth().sharing, worth().team);
}

}  // namespace

void register_system(py::module_& m) {
  m.def("build_info", build_info);
  m.def("set_num_threads", set_threads, py::arg("count"));
  m.def("num_threads", num_threads);
  m.def("set_worth", set_worth, py::arg("waking"), py::arg("sharing"), py::arg("team"));
  m.def("get_worth", get_worth);
  m.def("take_fork_notice", take_fork_notice);
}

}  // namespace gradwell::bindings

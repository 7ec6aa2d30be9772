#include "gradwell/elementary.h"

#include "array.h"
#include "bindings.h"
#include "gradwell/device.h"

namespace gradwell::bindings {
namespace {

template <class Pick>
void define(py::module_& m, const char* name, Pick pick) {
  m.def(
      name,
      [name, pick](const py::object& x, bool flush_denormals) {
        return by_dtype(name, "x", x, [&](auto zero) -> py::object {
          using T = decltype(zero);
          const auto in = input_flat<T>(name, "x", x);
          auto out = output_like<T>(in.owner);
          T* y = out.mutable_data();
          call([&](Context c) { pick(placed_kernels<T>().elementary)(c, in.data, y, in.size); }, flush_denormals);
          return out;
        });
      },
      py::arg("x"), py::arg("flush_denormals"));
}

}  // namespace

void register_elementary(py::module_& m) {
  define(m, "exp", [](const auto& k) { return k.exp; });
  define(m, "log", [](const auto& k) { return k.log; });
  define(m, "tanh", [](const auto& k) { return k.tanh; });
  define(m, "sigmoid", [](const auto& k) { return k.sigmoid; });
}

}  // namespace gradwell::bindings

#include "gradwell/statistics.h"

#include <algorithm>

#include "array.h"
#include "bindings.h"
#include "gradwell/device.h"

namespace gradwell::bindings {
namespace {

// The twelve numbers in the order of Statistics, and the histogram by exponent.
py::object measure(const py::object& array, bool flush_denormals) {
  constexpr const char* op = "gradient_statistics";
  return by_dtype(op, "array", array, [&](auto zero) -> py::object {
    using T = decltype(zero);
    const auto in = input_flat<T>(op, "array", array);
    py::array_t<std::uint64_t> histogram(exponent_bins);
    std::uint64_t* bins = histogram.mutable_data();
    std::fill(bins, bins + exponent_bins, std::uint64_t{0});
    const Statistics s =
        call([&](Context c) { return placed_kernels<T>().statistics.measure(c, {in.data, 1, in.size, in.size}, bins); },
             flush_denormals);
    return py::make_tuple(py::make_tuple(s.count, s.norm, s.rms, s.mean, s.std, s.min, s.max, s.largest, s.smallest,
                                         s.zeros, s.nans, s.infs),
                          std::move(histogram));
  });
}

// max |x|: NaN where any element is NaN, else infinity where any is infinite.
double largest(const py::object& array) {
  constexpr const char* op = "largest";
  return by_dtype(op, "array", array, [&](auto zero) -> double {
    using T = decltype(zero);
    const auto in = input_flat<T>(op, "array", array);
    return call([&](Context c) { return placed_kernels<T>().statistics.largest(c, {in.data, 1, in.size, in.size}); });
  });
}

}  // namespace

void register_statistics(py::module_& m) {
  m.def("gradient_statistics", measure, py::arg("array"), py::arg("flush_denormals"));
  m.def("largest", largest, py::arg("array"));
  m.attr("exponent_bias") = exponent_bias;
}

}  // namespace gradwell::bindings

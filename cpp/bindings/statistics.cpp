#include "gradwell/statistics.h"

#include <algorithm>
#include <vector>

#include "array.h"
#include "bindings.h"
#include "gradwell/kernels.h"

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
        call([&](Context c) { return kernels<T>().statistics.measure(c, {in.data, 1, in.size, in.size}, bins); },
             flush_denormals);
    return py::make_tuple(py::make_tuple(s.count, s.norm, s.rms, s.mean, s.std, s.min, s.max, s.largest, s.smallest,
                                         s.zeros, s.nans, s.infs),
                          std::move(histogram));
  });
}

// Of many arrays at once: the numbers (arrays, 12), and for each histogram its lowest exponent, bins and where they
// begin (arrays, 3) among the counts (bins of all).
py::tuple measure_all(const py::list& arrays, bool flush_denormals) {
  constexpr const char* op = "gradient_statistics";
  struct Item {
    py::array owner;
    bool wide;
  };
  std::vector<Item> items;
  for (const py::handle& each : arrays)
    items.push_back(by_dtype(op, "array", py::reinterpret_borrow<py::object>(each), [&](auto zero) -> Item {
      using T = decltype(zero);
      return {input_flat<T>(op, "array", py::reinterpret_borrow<py::object>(each)).owner, sizeof(T) == 8};
    }));
  const auto n = static_cast<Index>(items.size());
  std::vector<const void*> data;
  std::vector<Index> sizes;
  for (const Item& item : items) {
    data.push_back(item.owner.data());
    sizes.push_back(item.owner.size());
  }
  py::array_t<double> numbers({n, Index{12}});
  py::array_t<Index> where({n, Index{3}});
  std::vector<std::uint32_t> counts;
  double* number = numbers.mutable_data();
  Index* place = where.mutable_data();
  call(
      [&](Context c) {
        std::vector<std::uint64_t> bins(exponent_bins);
        for (Index i = 0; i < n; ++i) {
          const auto at = static_cast<std::size_t>(i);
          std::fill(bins.begin(), bins.end(), std::uint64_t{0});
          const auto one = [&](auto zero) {
            using T = decltype(zero);
            const auto* const x = static_cast<const T*>(data[at]);
            return kernels<T>().statistics.measure(c, {x, 1, sizes[at], sizes[at]}, bins.data());
          };
          const Statistics s = items[at].wide ? one(0.0) : one(0.0f);
          for (double value :
               {static_cast<double>(s.count), s.norm, s.rms, s.mean, s.std, s.min, s.max, s.largest, s.smallest,
                static_cast<double>(s.zeros), static_cast<double>(s.nans), static_cast<double>(s.infs)})
            *number++ = value;
          Index low = 0, high = exponent_bins;
          while (low < high && bins[static_cast<std::size_t>(low)] == 0) ++low;
          while (high > low && bins[static_cast<std::size_t>(high - 1)] == 0) --high;
          *place++ = low < high ? low - exponent_bias : 0;
          *place++ = high - low;
          *place++ = static_cast<Index>(counts.size());
          for (Index k = low; k < high; ++k)
            counts.push_back(static_cast<std::uint32_t>(bins[static_cast<std::size_t>(k)]));
        }
        return 0;
      },
      flush_denormals);
  py::array_t<std::uint32_t> all(static_cast<Index>(counts.size()));
  std::copy(counts.begin(), counts.end(), all.mutable_data());
  return py::make_tuple(numbers, where, all);
}

// max |x|: NaN where any element is NaN, else infinity where any is infinite.
double largest(const py::object& array) {
  constexpr const char* op = "largest";
  return by_dtype(op, "array", array, [&](auto zero) -> double {
    using T = decltype(zero);
    const auto in = input_flat<T>(op, "array", array);
    return call([&](Context c) { return kernels<T>().statistics.largest(c, {in.data, 1, in.size, in.size}); });
  });
}

}  // namespace

void register_statistics(py::module_& m) {
  m.def("gradient_statistics", measure, py::arg("array"), py::arg("flush_denormals"));
  m.def("gradient_statistics_of_all", measure_all, py::arg("arrays"), py::arg("flush_denormals"));
  m.def("largest", largest, py::arg("array"));
  m.attr("exponent_bias") = exponent_bias;
}

}  // namespace gradwell::bindings

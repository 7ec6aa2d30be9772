#include "survey.h"

#include <algorithm>
#include <vector>

#include "array.h"
#include "bindings.h"
#include "gradwell/activation.h"
#include "names.h"

namespace gradwell::bindings {
namespace {

constexpr const char* op = "survey";

// What views point at lives as long as `owners`.
Values values_of(const py::handle& array, std::vector<py::array>& owners) {
  const py::object object = py::reinterpret_borrow<py::object>(array);
  return by_dtype(op, "array", object, [&](auto zero) -> Values {
    using T = decltype(zero);
    const auto in = input_flat<T>(op, "array", object);
    owners.push_back(in.owner);
    return {in.data, in.size, sizeof(T) == 8};
  });
}

std::vector<Values> values_of_all(const py::list& arrays, std::vector<py::array>& owners) {
  std::vector<Values> found;
  for (const py::handle& array : arrays) found.push_back(values_of(array, owners));
  return found;
}

// (outputs (rows, units, ...), name of the activation, numbers of a row that belong to one unit, alive (units) uint8).
Units units_of(const py::handle& each, std::vector<py::array>& owners) {
  const auto parts = py::reinterpret_borrow<py::tuple>(each);
  check(parts.size() == 4, op, "units has ", parts.size(), " parts; needs 4");
  const Values y = values_of(parts[0], owners);
  const auto alive = py::cast<py::array_t<std::uint8_t>>(parts[3]);
  const Index inner = py::cast<Index>(parts[2]), units = alive.size();
  check(inner > 0 && units > 0 && y.size % (inner * units) == 0, op, "outputs have ", y.size,
        " numbers; needs rows of ", units, " units of ", inner);
  const Activation activation = parse_activation(op, parts[1], py::none());
  check(derivative_from_output(activation.kind), op, "the derivative of ", Spelled{parts[1]},
        " does not follow from y");
  owners.push_back(alive);
  return {y,     activation, y.size / (inner * units),
          units, inner,      static_cast<std::uint8_t*>(owners.back().mutable_data())};
}

template <class Number, class From, class Read>
py::array_t<Number> column(const std::vector<From>& from, Read read) {
  py::array_t<Number> to(static_cast<Index>(from.size()));
  std::transform(from.begin(), from.end(), to.mutable_data(), read);
  return to;
}

// In full: numbers (arrays, 12) and, for each histogram, its lowest exponent, bins and where they begin (arrays, 3)
// among the counts. Norms of others; and how many outputs of each set of units are flat.
py::tuple survey_of(const py::list& full, const py::list& normed, const py::list& units, bool flush_denormals) {
  std::vector<py::array> owners;
  const std::vector<Values> in_full = values_of_all(full, owners), norm_only = values_of_all(normed, owners);
  std::vector<Units> of;
  for (const py::handle& each : units) of.push_back(units_of(each, owners));
  const Survey found = call([&](Context c) { return survey(c, in_full, norm_only, of); }, flush_denormals);
  const auto n = static_cast<Index>(found.statistics.size());
  py::array_t<double> numbers({n, Index{12}});
  py::array_t<Index> where({n, Index{3}});
  double* number = numbers.mutable_data();
  Index* place = where.mutable_data();
  Index at = 0;
  for (std::size_t i = 0; i < found.statistics.size(); ++i) {
    const Statistics& s = found.statistics[i];
    for (double value :
         {static_cast<double>(s.count), s.norm, s.rms, s.mean, s.std, s.min, s.max, s.largest, s.smallest,
          static_cast<double>(s.zeros), static_cast<double>(s.nans), static_cast<double>(s.infs)})
      *number++ = value;
    for (Index value : {found.low[i], found.bins[i], at}) *place++ = value;
    at += found.bins[i];
  }
  const auto same = [](auto value) { return value; };
  return py::make_tuple(numbers, where, column<std::uint32_t>(found.counts, same), column<double>(found.norms, same),
                        column<Index>(found.flat, same));
}

// (arrays, 2): |now - before| and |before|; before becomes now.
py::array_t<double> changes_of(const py::list& now, const py::list& before) {
  check(now.size() == before.size(), op, "now has ", now.size(), " arrays but before has ", before.size());
  std::vector<py::array> owners;
  std::vector<Change> parameters;
  for (std::size_t i = 0; i < now.size(); ++i) {
    const Values a = values_of(now[i], owners);
    auto old = py::cast<py::array>(before[i]);
    check(old.size() == a.size && old.itemsize() == (a.wide ? 8 : 4) && old.dtype().kind() == 'f', op,
          "before has shape ", shape_of(old), " and dtype ", dtype_of(old), "; needs that of now");
    check((old.flags() & py::array::c_style) && old.writeable(), op, "before is not contiguous and writeable");
    parameters.push_back({a.data, old.mutable_data(), a.size, a.wide});
    owners.push_back(std::move(old));
  }
  const std::vector<ChangeNorms> found = call([&](Context c) { return changes(c, parameters); }, false);
  py::array_t<double> norms({static_cast<Index>(found.size()), Index{2}});
  double* to = norms.mutable_data();
  for (const ChangeNorms& each : found) {
    *to++ = each.moved;
    *to++ = each.size;
  }
  return norms;
}

}  // namespace

void register_survey(py::module_& m) {
  m.def("survey", survey_of, py::arg("full"), py::arg("normed"), py::arg("units"), py::arg("flush_denormals"));
  m.def("changes", changes_of, py::arg("now"), py::arg("before"));
}

}  // namespace gradwell::bindings

#include "record.h"

#include <algorithm>
#include <cstring>

namespace gradwell::bindings {
namespace {

constexpr Index statistics_fields = 12;

}  // namespace

py::tuple statistics_tuple(const Statistics& s) {
  return py::make_tuple(s.count, s.norm, s.rms, s.mean, s.std, s.min, s.max, s.largest, s.smallest, s.zeros, s.nans,
                        s.infs);
}

py::dict record_arrays(const Record& record, Index stages, Index parameters) {
  const auto n = static_cast<Index>(record.steps.size());
  const Index entries = 2 * stages + parameters;
  py::array_t<Index> steps(n);
  std::copy(record.steps.begin(), record.steps.end(), steps.mutable_data());
  py::array_t<double> statistics({n, entries, statistics_fields});
  py::array_t<Index> histograms({n, entries, Index{3}});
  double* number = statistics.mutable_data();
  Index* where = histograms.mutable_data();
  for (const RecordEntry& entry : record.entries) {
    const Statistics& s = entry.statistics;
    for (double value :
         {static_cast<double>(s.count), s.norm, s.rms, s.mean, s.std, s.min, s.max, s.largest, s.smallest,
          static_cast<double>(s.zeros), static_cast<double>(s.nans), static_cast<double>(s.infs)})
      *number++ = value;
    *where++ = entry.low;
    *where++ = entry.bins;
    *where++ = entry.offset;
  }
  py::array_t<std::uint32_t> counts(static_cast<Index>(record.counts.size()));
  std::copy(record.counts.begin(), record.counts.end(), counts.mutable_data());
  py::array_t<double> stage_values({n, stages, Index{5}});
  number = stage_values.mutable_data();
  for (const StageEntry& entry : record.stages)
    for (double value : {entry.output_gradient, entry.saturated, entry.dead, entry.skip, entry.branch})
      *number++ = value;
  py::array_t<double> parameter_values({n, parameters, Index{2}});
  number = parameter_values.mutable_data();
  for (const ParameterEntry& entry : record.parameters)
    for (double value : {entry.step, entry.parameter}) *number++ = value;
  // Every record has as many figures of time as any other.
  const Index times = n > 0 ? static_cast<Index>(record.time.size()) / n : 0;
  py::array_t<double> time({n, times});
  std::copy(record.time.begin(), record.time.begin() + n * times, time.mutable_data());
  py::dict result;
  result["time"] = time;
  result["steps"] = steps;
  result["statistics"] = statistics;
  result["histograms"] = histograms;
  result["counts"] = counts;
  result["stages"] = stage_values;
  result["parameters"] = parameter_values;
  return result;
}

}  // namespace gradwell::bindings

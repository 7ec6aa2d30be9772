// The gradient record as NumPy arrays. gradwell/statistics.py gives them their names.
#pragma once

#include "array.h"
#include "gradwell/record.h"

namespace gradwell::bindings {

// steps (n), statistics (n, entries, 12), histograms (n, entries, 3) of lowest exponent, bins, offset,
// counts (all bins), stages (n, stages, 3), parameters (n, parameters, 2).
py::dict record_arrays(const Record& record, Index stages, Index parameters);

py::tuple statistics_tuple(const Statistics& s);

}  // namespace gradwell::bindings

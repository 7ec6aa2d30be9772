// The gradient record: what one recorded step leaves behind, for every stage and every parameter.
//
// A stage is what the program runs as one: a dense layer with the activation fused into it, or a lone
// activation. For stage l with pre-activation z, output y = f(z) and loss C it records
//   error            statistics of delta = dC/dz
//   activation       statistics of y
//   output_gradient  |dC/dy|, so that |delta| / |dC/dy| is the derivative's part of the gain and
//                    |dC/dy of l| / |delta of l+1| the weight's
//   saturated        fraction of outputs with |f'| < 0.01 sup|f'|
//   dead             fraction of units that were so for every sample of the last window
//   skip, branch     of the joint of a residual block: norms of what its skip connection and its branch hand on to the
//                    value that the block begins at
// and for a recurrent layer, direction by direction, its time record: time_quantities (recurrent.h) by step, and what
// Pascanu's regulariser was; and for every parameter the statistics of its gradient, |step| and |parameter|.
#pragma once

#include <vector>

#include "gradwell/statistics.h"

namespace gradwell {

// Statistics with their histogram: counts[offset ... offset + bins) belong to exponents low, low + 1, ...
struct RecordEntry {
  Statistics statistics;
  std::int32_t low;
  std::int32_t bins;
  Index offset;
};

struct StageEntry {
  double output_gradient;
  double saturated;
  double dead;
  double skip;
  double branch;
};

struct ParameterEntry {
  double step;
  double parameter;
};

// Of every recorded step in turn: `entries` holds errors by stage, activations by stage, gradients by
// parameter; `stages` and `parameters` as many as there are.
struct Record {
  std::vector<Index> steps;
  std::vector<RecordEntry> entries;
  std::vector<StageEntry> stages;
  std::vector<ParameterEntry> parameters;
  std::vector<std::uint32_t> counts;
  std::vector<double> time;
};

// Samples a unit must have been inactive for, one after the other, to be called dead.
constexpr Index dead_window = 1000;

}  // namespace gradwell

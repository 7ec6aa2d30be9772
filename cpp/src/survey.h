// Many arrays measured in one call, by a team of threads: what a step of another framework leaves behind.
#pragma once

#include <vector>

#include "gradwell/kernels.h"
#include "gradwell/statistics.h"

namespace gradwell {

// An array in C order, of float or of double.
struct Values {
  const void* data;
  Index size;
  bool wide;
};

// Outputs of an activation (rows, units, inner): which units do nothing for any sample.
struct Units {
  Values y;
  Activation activation;
  Index rows, units, inner;
  std::uint8_t* alive;  // (units): becomes 1 where one of the unit's derivatives is not small
};

struct Survey {
  std::vector<Statistics> statistics;  // of each array that is measured in full
  std::vector<Index> low, bins;        // its histogram: exponent of the first bin, and how many there are
  std::vector<std::uint32_t> counts;   // the bins of all, one array after the other
  std::vector<double> norms;           // of each array whose norm is asked for
  std::vector<Index> flat;             // elements of each set of units with |f'| < 0.01 sup|f'|
};

Survey survey(Context, const std::vector<Values>& full, const std::vector<Values>& normed,
              const std::vector<Units>& units);

// A parameter after a step and a copy from before it, which becomes what the parameter is now.
struct Change {
  const void* now;
  void* before;
  Index size;
  bool wide;
};

struct ChangeNorms {
  double moved;  // |now - before|
  double size;   // |before|
};

std::vector<ChangeNorms> changes(Context, const std::vector<Change>& parameters);

}  // namespace gradwell

// The statistics of an array from those of its parts. Shared by the levels of cpp/src/cpu and by cpp/src/cuda.
// T. Chan, G. Golub, R. LeVeque (1983), Algorithms for computing the sample variance.
#pragma once

#include "elementwise/lanes.h"
#include "gradwell/statistics.h"

namespace gradwell {
namespace GRADWELL_LEVEL {

constexpr double infinite = __builtin_inf();

// All parts so far. Sums as in StatisticsPart, at one scale.
struct Total {
  double scale, sum, squares, deviations;
  double min, max, smallest;
  Index count, zeros, nans, infs;
};

GRADWELL_BOTH static inline Total empty_total() {
  return {1, 0, 0, 0, infinite, -infinite, infinite, 0, 0, 0, 0};
}

// To the scale of the larger numbers, where the others' squares do not matter.
template <class A>
GRADWELL_BOTH static inline void rescale(A& sums, double scale) {
  if (sums.scale == scale) return;
  const double factor = scale / sums.scale;
  sums.sum *= factor;
  sums.squares *= factor * factor;
  sums.deviations *= factor * factor;
  sums.scale = scale;
}

// `part` is a StatisticsPart, without its bins, or another total.
template <class Part>
GRADWELL_BOTH static inline void add_part(Total& all, const Part& part) {
  const double before = static_cast<double>(all.count - all.nans - all.infs);
  const double here = static_cast<double>(part.count - part.nans - part.infs);
  struct {
    double scale, sum, squares, deviations;
  } sums = {part.scale, part.sum, part.squares, part.deviations};
  const bool nothing = all.squares == 0, nothing_here = sums.squares == 0;
  const double scale = nothing ? sums.scale : (nothing_here || all.scale < sums.scale ? all.scale : sums.scale);
  rescale(all, scale);
  rescale(sums, scale);
  if (before > 0 && here > 0) {
    const double apart = sums.sum / here - all.sum / before;
    all.deviations += apart * apart * (before * here / (before + here));
  }
  all.sum += sums.sum;
  all.squares += sums.squares;
  all.deviations += sums.deviations;
  all.min = part.min < all.min ? part.min : all.min;
  all.max = part.max > all.max ? part.max : all.max;
  all.smallest = part.smallest < all.smallest ? part.smallest : all.smallest;
  all.count += part.count;
  all.zeros += part.zeros;
  all.nans += part.nans;
  all.infs += part.infs;
}

template <class T>
GRADWELL_BOTH static inline void add_bins(const StatisticsPart<T>& part, std::uint64_t* histogram) {
  for (int bin = part.low; bin <= part.high; ++bin) histogram[bin + ExponentRange<T>::lowest] += part.bins[bin];
}

// Square roots by the compiler's instruction; no call to libm.
GRADWELL_BOTH static inline double root_of_sum(double x) {
  return x > 0 ? __builtin_sqrt(x) : 0;
}

GRADWELL_BOTH static inline Statistics summary(const Total& all) {
  constexpr double unknown = __builtin_nan("");
  const Index finite = all.count - all.nans - all.infs;
  const double n = static_cast<double>(finite), back = 1.0 / all.scale;
  Statistics s;
  s.count = all.count;
  s.norm = finite || all.count == 0 ? root_of_sum(all.squares) * back : unknown;
  s.rms = finite ? root_of_sum(all.squares / n) * back : unknown;
  s.mean = finite ? all.sum / n * back : unknown;
  s.std = finite ? root_of_sum(all.deviations / n) * back : unknown;
  s.min = finite ? all.min : unknown;
  s.max = finite ? all.max : unknown;
  s.largest = finite ? (-all.min > all.max ? -all.min : (all.max > 0 ? all.max : 0.0)) : unknown;
  s.smallest = all.smallest < infinite ? all.smallest : unknown;
  s.zeros = all.zeros;
  s.nans = all.nans;
  s.infs = all.infs;
  return s;
}

}  // namespace GRADWELL_LEVEL
}  // namespace gradwell

// What one pass over an array tells. Sums, extremes and moments run over the finite elements; `nans` and
// `infs` count the others; where none is finite, what cannot be said is NaN. With denormals flushed, a denormal counts
// as zero.
//
// Sums are partial sums over chunks of 4096 elements, added in order, in double: the same bits at any thread
// count. For float64 a second pass with scaled squares follows where squares would overflow or underflow.
#pragma once

#include "gradwell/types.h"

namespace gradwell {

// Biased exponents: one bin for each binary exponent of float64, enough for float32 too.
constexpr int exponent_bins = 2047;
constexpr int exponent_bias = 1023;

struct Statistics {
  Index count;
  double norm;  // sqrt(sum x^2)
  double rms;   // norm / sqrt(finite count)
  double mean;
  double std;  // population: sqrt(mean of (x - mean)^2)
  double min;
  double max;
  double largest;   // largest |x|
  double smallest;  // smallest non-zero |x|
  Index zeros;
  Index nans;
  Index infs;
};

template <class T>
struct StatisticsKernels {
  // histogram (exponent_bins) counts finite non-zero elements by floor(log2|x|) + exponent_bias; it is added
  // to, and may be null. float64 denormals share bin 0.
  Statistics (*measure)(Context, const T* x, Index count, std::uint64_t* histogram);
  double (*norm)(Context, const T* x, Index count);
  // max |x|: NaN where any element is NaN, else infinity where any is infinite; 0 for an empty array.
  double (*largest)(Context, const T* x, Index count);
};

}  // namespace gradwell

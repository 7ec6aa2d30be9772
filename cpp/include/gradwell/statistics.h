// What one pass over an array tells. Sums, extremes and moments run over the finite elements; `nans` and
// `infs` count the others; where none is finite, what cannot be said is NaN. With denormals flushed, a denormal counts
// as zero.
//
// An array is cut into pieces of at most 4096 elements, by its shape alone. Each piece is measured by itself, in any
// order, on any thread, into a StatisticsPart; the parts are merged in theirs (Chan, Golub, LeVeque 1983). Sums are
// kept in double: the same bits at any thread count. Squares of float64 that would leave its range are scaled by a
// power of two.
#pragma once

#include "gradwell/types.h"

// What a GPU calls too.
#if defined(__CUDACC__)
#define GRADWELL_ANYWHERE __host__ __device__
#else
#define GRADWELL_ANYWHERE
#endif

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

// Exponents that elements of T can have, denormals included: [lowest, lowest + count), biased as above. The denormals
// of float64 share bin 0.
template <class T>
struct ExponentRange;
template <>
struct ExponentRange<float> {
  static constexpr int lowest = exponent_bias - 149, count = 149 + 128;
};
template <>
struct ExponentRange<double> {
  static constexpr int lowest = 0, count = exponent_bins;
};

// Of one piece. The sums are of scale x, of its square, and of the square of its distance from the piece's mean.
template <class T>
struct StatisticsPart {
  double scale, sum, squares, deviations;
  double min, max, smallest;  // infinity, -infinity, infinity where there is none
  std::int32_t count, zeros, nans, infs;
  std::int32_t low, high;                       // bins[low ... high] are set; high < low where none is
  std::uint16_t bins[ExponentRange<T>::count];  // finite elements that are not zero
};

constexpr Index part_elements = 4096;
constexpr Index part_rows = 16;

// How a matrix is cut: into `count` pieces of `rows` x `columns`, the last ones smaller, `across` of them side by side.
// `rows` divides part_rows, so that a matrix and its parts of a multiple of part_rows rows are cut alike.
struct Pieces {
  Index rows, columns, across, count;
};

GRADWELL_ANYWHERE static inline Pieces pieces_of(Index rows, Index columns) {
  const Index wide = columns < part_elements ? columns : part_elements;
  Index high = part_rows;
  while (high > 1 && high * wide > part_elements) high /= 2;
  const Index across = wide > 0 ? (columns + wide - 1) / wide : 0;
  return {high, wide, across, across * ((rows + high - 1) / high)};
}

// A matrix whose rows lie together, as one row.
template <class T>
GRADWELL_ANYWHERE static inline Matrix<T> as_one_row(Matrix<T> m) {
  if (m.stride != m.columns && m.rows > 1) return m;
  return {m.data, m.rows * m.columns > 0 ? 1 : 0, m.rows * m.columns, m.rows * m.columns};
}

template <class T>
GRADWELL_ANYWHERE static inline Matrix<T> piece(Matrix<T> m, Pieces cut, Index k) {
  const Index row = k / cut.across * cut.rows, column = k % cut.across * cut.columns;
  return {m.data + row * m.stride + column, m.rows - row < cut.rows ? m.rows - row : cut.rows,
          m.columns - column < cut.columns ? m.columns - column : cut.columns, m.stride};
}

template <class T>
struct StatisticsKernels {
  // histogram (exponent_bins) counts finite non-zero elements by floor(log2|x|) + exponent_bias; it is added
  // to, and may be null. A matrix whose rows lie together is measured as one row.
  Statistics (*measure)(Context, Matrix<const T> x, std::uint64_t* histogram);
  // The two halves of measure: every piece of pieces_of(x.rows, x.columns) into a part of its own; all parts in order.
  void (*measure_parts)(Context, Matrix<const T> x, StatisticsPart<T>* parts);
  Statistics (*merge)(const StatisticsPart<T>* parts, Index count, std::uint64_t* histogram);
  // max |x|: NaN where any element is NaN, else infinity where any is infinite; 0 for an empty array.
  double (*largest)(Context, Matrix<const T> x);
  // The norm of every piece's finite elements.
  void (*norms)(Context, Matrix<const T> x, double* norms);
  // Of every chunk of part_elements numbers the sums of (now - before)^2 and of before^2; before becomes now.
  void (*changes)(Context, Index count, const T* now, T* before, double* moved, double* sizes);
};

}  // namespace gradwell

#include "gradwell/statistics.h"

#include "cpu/level.h"
#include "cpu/parallel.h"
#include "cpu/statistics_chunk.h"

namespace gradwell {
namespace GRADWELL_LEVEL {
namespace {

template <class T>
void add(Total& all, const StatisticsPart<T>& part, std::uint64_t* histogram) {
  add_part(all, part);
  if (histogram) add_bins(part, histogram);
}

template <class T>
Statistics merge(const StatisticsPart<T>* parts, Index count, std::uint64_t* histogram) {
  Total all = empty_total();
  for (Index k = 0; k < count; ++k) add(all, parts[k], histogram);
  return summary(all);
}

template <class T>
void measure_parts(Context context, Matrix<const T> x, StatisticsPart<T>* parts) {
  const Pieces cut = pieces_of(x.rows, x.columns);
  parallel_for(context, cut.count, x.rows * x.columns * 4,
               [&](Index k) { measure_piece<T>(piece(x, cut, k), context.flush_denormals, parts + k); });
}

// Parts are made in any order, so many at a time, and merged in theirs.
constexpr Index most_parts = 32;

template <class T>
Statistics measure(Context context, Matrix<const T> x, std::uint64_t* histogram) {
  const Matrix<const T> m = as_one_row(x);
  const Pieces cut = pieces_of(m.rows, m.columns);
  Total all = empty_total();
  StatisticsPart<T> parts[most_parts];
  for (Index first = 0; first < cut.count; first += most_parts) {
    const Index count = cut.count - first < most_parts ? cut.count - first : most_parts;
    parallel_for(context, count, count * cut.rows * cut.columns * 4,
                 [&](Index k) { measure_piece<T>(piece(m, cut, first + k), context.flush_denormals, &parts[k]); });
    for (Index k = 0; k < count; ++k) add(all, parts[k], histogram);
  }
  return summary(all);
}

// The bits of |x|, read as integers, are ordered as the numbers are, with NaN above infinity.
template <class T>
typename Simd<T>::Integer largest_bits(Matrix<const T> x) {
  Bits<T> most = {};
  for (Index i = 0; i < x.rows; ++i)
    for_each_pack<T>(x.columns, [&](Index j, int n) {
      const Bits<T> bits = bits_of(magnitude<T>(load_n<T>(x.data + i * x.stride + j, n)));
      most = bits > most ? bits : most;
    });
  typename Simd<T>::Integer found = 0;
  for (int k = 0; k < lanes<T>; ++k) found = most[k] > found ? most[k] : found;
  return found;
}

template <class T>
double largest(Context context, Matrix<const T> x) {
  using Integer = typename Simd<T>::Integer;
  constexpr Index tasks = 32;  // a maximum is the same however its parts are cut
  const Matrix<const T> m = as_one_row(x);
  Integer parts[tasks] = {};
  if (context.threads <= 1 || m.rows * m.columns < context.worth) {
    parts[0] = largest_bits<T>(m);
  } else {
    parallel_for(context, tasks, m.rows * m.columns, [&](Index k) {
      const bool flat = m.rows == 1;
      const Index all = flat ? m.columns : m.rows, first = all * k / tasks, count = all * (k + 1) / tasks - first;
      parts[k] = largest_bits<T>(flat ? Matrix<const T>{m.data + first, 1, count, count}
                                      : Matrix<const T>{m.data + first * m.stride, count, m.columns, m.stride});
    });
  }
  Integer most = 0;
  for (Integer part : parts) most = part > most ? part : most;
  T value;
  __builtin_memcpy(&value, &most, sizeof value);
  return static_cast<double>(value);
}

template <class T>
double sum_of_squares(Matrix<const T> x) {
  Pack<double> sums[wide_parts<T>] = {};
  double rest = 0;
  for (Index i = 0; i < x.rows; ++i) {
    const T* row = x.data + i * x.stride;
    Index j = 0;
    for (; j + lanes<T> <= x.columns; j += lanes<T>)
#pragma GCC unroll 2
      for (int p = 0; p < wide_parts<T>; ++p) {
        const Pack<double> wide = load_wide(row + j, p);
        sums[p] = fma(wide, wide, sums[p]);
      }
    for (; j < x.columns; ++j) rest += static_cast<double>(row[j]) * static_cast<double>(row[j]);
  }
  return sum_lanes<T>(sums) + rest;
}

template <class T>
double norm_of_piece(Matrix<const T> x, bool flush) {
  const double squares = sum_of_squares<T>(x);
  if (squares < 1e280 && (sizeof(T) == 4 || squares > 1e-240)) return root_of_sum(squares);
  StatisticsPart<T> part;
  measure_piece<T>(x, flush, &part);
  return root_of_sum(part.squares) / part.scale;
}

template <class T>
void norms(Context context, Matrix<const T> x, double* to) {
  const Pieces cut = pieces_of(x.rows, x.columns);
  parallel_for(context, cut.count, x.rows * x.columns,
               [&](Index k) { to[k] = norm_of_piece<T>(piece(x, cut, k), context.flush_denormals); });
}

template <class T>
void changes(Context context, Index count, const T* now, T* before, double* moved, double* sizes) {
  for_each_chunk(context, count, 2, [&](Index begin, Index end) {
    Pack<double> apart[wide_parts<T>] = {}, size[wide_parts<T>] = {};
    double rest_apart = 0, rest_size = 0;
    Index j = begin;
    for (; j + lanes<T> <= end; j += lanes<T>) {
      const Pack<T> here = load(now + j);
#pragma GCC unroll 2
      for (int p = 0; p < wide_parts<T>; ++p) {
        const Pack<double> was = load_wide(before + j, p), difference = load_wide(now + j, p) - was;
        apart[p] = fma(difference, difference, apart[p]);
        size[p] = fma(was, was, size[p]);
      }
      store(before + j, here);
    }
    for (; j < end; ++j) {
      const double was = static_cast<double>(before[j]), difference = static_cast<double>(now[j]) - was;
      rest_apart += difference * difference;
      rest_size += was * was;
      before[j] = now[j];
    }
    moved[begin / part_elements] = sum_lanes<T>(apart) + rest_apart;
    sizes[begin / part_elements] = sum_lanes<T>(size) + rest_size;
  });
}

}  // namespace

template <class T>
StatisticsKernels<T> statistics_kernels() {
  return {measure<T>, measure_parts<T>, merge<T>, largest<T>, norms<T>, changes<T>};
}
template StatisticsKernels<float> statistics_kernels<float>();
template StatisticsKernels<double> statistics_kernels<double>();

}  // namespace GRADWELL_LEVEL
}  // namespace gradwell

// The statistics of one piece of at most 4096 elements. Private to cpp/src/cpu.
#pragma once

#include "cpu/exponents.h"
#include "elementwise/merging.h"

namespace gradwell {
namespace GRADWELL_LEVEL {

template <class T>
using Exponent = typename ExponentOf<T>::Type;

template <class T>
GRADWELL_INLINE void store_exponents(Exponent<T>* to, Words<T> doubled) {
  typedef Exponent<T> Narrow __attribute__((vector_size(lanes<T> * sizeof(Exponent<T>))));
  const Words<T> exponents = doubled >> (Simd<T>::mantissa_bits + 1);
#if defined(__AVX2__) && !defined(__AVX512F__)
  // The low bytes of the numbers, four to each half.
  if (sizeof(T) == 4) {
    const __m256i low = _mm256_set1_epi32(0x0c080400);
    const __m256i halves = _mm256_shuffle_epi8(reinterpret_cast<__m256i>(exponents), low);
    const std::int32_t first = _mm256_extract_epi32(halves, 0), second = _mm256_extract_epi32(halves, 4);
    __builtin_memcpy(to, &first, 4);
    __builtin_memcpy(to + 4, &second, 4);
    return;
  }
#endif
  const Narrow narrow = __builtin_convertvector(exponents, Narrow);
  __builtin_memcpy(to, &narrow, sizeof narrow);
}

// Twice the bits of x: the sign is gone and the exponent on top, so that they are ordered as |x| is. From `least` on
// elements have an exponent; below it they are zero, or denormal.
template <class T>
GRADWELL_INLINE Words<T> doubled_bits(Pack<T> x) {
  const Words<T> bits = reinterpret_cast<Words<T>>(x);
  return bits + bits;
}
template <class T>
constexpr auto least = static_cast<typename Simd<T>::Word>(1) << (Simd<T>::mantissa_bits + 1);

// What has been gathered lane by lane: twice the bits of the smallest |x| less `least`, where zero is beyond all
// others.
template <class T>
struct Lanes {
  Pack<double> sum[wide_parts<T>], squares[wide_parts<T>];
  Pack<T> min, max;
  Words<T> smallest;
};

template <class T>
GRADWELL_INLINE void take_extremes(Lanes<T>& lane, Pack<T> value, Words<T> doubled) {
  lane.min = lesser(value, lane.min);
  lane.max = greater(value, lane.max);
  lane.smallest = lesser(doubled - least<T>, lane.smallest);
}

template <class T>
GRADWELL_INLINE void take_sums(Lanes<T>& lane, const T* x) {
#pragma GCC unroll 2
  for (int p = 0; p < wide_parts<T>; ++p) {
    const Pack<double> wide = load_wide(x, p);
    lane.sum[p] += wide;
    lane.squares[p] = fma(wide, wide, lane.squares[p]);
  }
}

// A row of the piece; its exponents go to `exponents`.
template <class T>
GRADWELL_INLINE void take_row(Lanes<T>& lane, const T* x, Index count, Exponent<T>* exponents) {
  Index i = 0;
  for (; i + lanes<T> <= count; i += lanes<T>) {
    const Pack<T> value = load(x + i);
    const Words<T> doubled = doubled_bits<T>(value);
    store_exponents<T>(exponents + i, doubled);
    take_extremes<T>(lane, value, doubled);
    take_sums<T>(lane, x + i);
  }
  if (i == count) return;
  // Lanes beyond the end are 0 to the sums and another of the row's elements to the extremes.
  T summed[lanes<T>] = {}, compared[lanes<T>];
  Exponent<T> found[lanes<T>];
  for (int k = 0; k < lanes<T>; ++k) {
    if (i + k < count) summed[k] = x[i + k];
    compared[k] = i + k < count ? x[i + k] : x[i];
  }
  const Pack<T> value = load(compared);
  store_exponents<T>(found, doubled_bits<T>(value));
  for (Index k = 0; i + k < count; ++k) exponents[i + k] = found[k];
  take_extremes<T>(lane, value, doubled_bits<T>(value));
  take_sums<T>(lane, summed);
}

template <class T>
GRADWELL_INLINE double sum_lanes(const Pack<double> (&x)[wide_parts<T>]) {
  double sum = 0;
  for (int p = 0; p < wide_parts<T>; ++p)
    for (int k = 0; k < lanes<double>; ++k) sum += x[p][k];
  return sum;
}

template <class T>
GRADWELL_INLINE void begin_part(StatisticsPart<T>& part) {
  part.scale = 1;
  part.sum = part.squares = part.deviations = 0;
  part.min = part.smallest = infinite;
  part.max = -infinite;
  part.count = part.zeros = part.nans = part.infs = 0;
  part.low = 0;
  part.high = -1;
}

// The same one element at a time, with a scale: for pieces with a NaN, an infinity or a denormal, and for float64
// whose squares would leave the range.
template <class T>
void measure_with_care(Matrix<const T> x, StatisticsPart<T>* to) {
  StatisticsPart<T>& part = *to;
  begin_part(part);
  for (auto& bin : part.bins) bin = 0;
  part.low = ExponentRange<T>::count;
  const auto each = [&](auto body) {
    for (Index i = 0; i < x.rows; ++i)
      for (Index j = 0; j < x.columns; ++j) {
        const T value = x.data[i * x.stride + j];
        if (value - value == T(0)) body(value == T(0) ? 0.0 : static_cast<double>(value));
      }
  };
  part.count = static_cast<std::int32_t>(x.rows * x.columns);
  int finite = 0;
  each([&](double value) {
    ++finite;
    part.min = value < part.min ? value : part.min;
    part.max = value > part.max ? value : part.max;
    if (value == 0) {
      ++part.zeros;
      return;
    }
    const double size = value < 0 ? -value : value;
    part.smallest = size < part.smallest ? size : part.smallest;
    std::uint64_t bits;
    __builtin_memcpy(&bits, &size, sizeof bits);
    const int bin = static_cast<int>(bits >> Simd<double>::mantissa_bits) - ExponentRange<T>::lowest;
    ++part.bins[bin];
    part.low = bin < part.low ? bin : part.low;
    part.high = bin > part.high ? bin : part.high;
  });
  for (Index i = 0; i < x.rows; ++i)
    for (Index j = 0; j < x.columns; ++j) part.nans += x.data[i * x.stride + j] != x.data[i * x.stride + j];
  part.infs = part.count - finite - part.nans;
  const double largest = -part.min > part.max ? -part.min : part.max;
  if (largest > 1e140) part.scale = 0x1p-520;
  if (largest > 0 && largest < 1e-120) part.scale = 0x1p500;
  each([&](double value) {
    const double scaled = value * part.scale;
    part.sum += scaled;
    part.squares += scaled * scaled;
  });
  const double mean = part.sum / (finite > 0 ? finite : 1);
  each([&](double value) {
    const double moved = value * part.scale - mean;
    part.deviations += moved * moved;
  });
}

template <class T>
double deviations_about(Matrix<const T> x, double mean) {
  double sums[8] = {};
  for (Index i = 0; i < x.rows; ++i)
    for (Index j = 0; j < x.columns; ++j) {
      const double moved = static_cast<double>(x.data[i * x.stride + j]) - mean;
      sums[j & 7] += moved * moved;
    }
  double sum = 0;
  for (double part : sums) sum += part;
  return sum;
}

template <class T>
void measure_piece(Matrix<const T> x, bool flush, StatisticsPart<T>* to) {
  constexpr int format_bias = static_cast<int>(Simd<T>::bias);
  constexpr int shift = exponent_bias - format_bias - ExponentRange<T>::lowest;  // from an exponent to its bin
  StatisticsPart<T>& part = *to;
  begin_part(part);
  const Index count = x.rows * x.columns;
  if (count == 0) return;
  part.count = static_cast<std::int32_t>(count);
  const Pack<T> all_infinite = broadcast(static_cast<T>(infinite));
  Lanes<T> lane = {{}, {}, all_infinite, -all_infinite, ~Words<T>{}};
  Exponent<T> exponents[part_elements];
  for (Index i = 0; i < x.rows; ++i) take_row<T>(lane, x.data + i * x.stride, x.columns, exponents + i * x.columns);
  part.sum = sum_lanes<T>(lane.sum);
  part.squares = sum_lanes<T>(lane.squares);
  T low = lane.min[0], high = lane.max[0];
  auto smallest = lane.smallest[0];
  for (int k = 1; k < lanes<T>; ++k) {
    low = lane.min[k] < low ? lane.min[k] : low;
    high = lane.max[k] > high ? lane.max[k] : high;
    smallest = lane.smallest[k] < smallest ? lane.smallest[k] : smallest;
  }
  part.min = static_cast<double>(low);
  part.max = static_cast<double>(high);
  const double largest = -part.min > part.max ? -part.min : part.max;
  const bool in_range = sizeof(T) == 4 || largest == 0 || (largest > 1e-120 && largest < 1e140);
  if (!(part.squares < infinite) || !in_range) return measure_with_care(x, to);
  // What has no exponent: zeros, or denormals that count as zeros, or else denormals to be told from zeros.
  int first = static_cast<int>((smallest + least<T>) >> (Simd<T>::mantissa_bits + 1)), last = 0;
  const T top = static_cast<T>(largest);
  typename Simd<T>::Word bits;
  __builtin_memcpy(&bits, &top, sizeof bits);
  last = static_cast<int>((bits + bits) >> (Simd<T>::mantissa_bits + 1));  // without the sign that -0 has
  if (last == 0) first = 1;
  std::uint16_t* const bins = part.bins + shift;  // bins[e] is that of exponent e
  std::uint16_t counts[ExponentOf<T>::not_finite + 1];
  count_exponents(exponents, static_cast<int>(count), first, last, counts);
  if (counts[0] && !flush) return measure_with_care(x, to);
  part.zeros = counts[0];
  if (part.zeros == count) {
    part.min = part.max = part.sum = part.squares = 0;
    return;
  }
  part.low = first + shift;
  part.high = last + shift;
  for (int e = first; e <= last; ++e) bins[e] = counts[e];
  const typename Simd<T>::Word smallest_bits = (smallest + least<T>) >> 1;
  T size;
  __builtin_memcpy(&size, &smallest_bits, sizeof size);
  part.smallest = static_cast<double>(size);
  // A flushed denormal left among the extremes is zero.
  if (part.min * part.min < 1e-300 && static_cast<T>(part.min) == T(0)) part.min = 0;
  if (part.max * part.max < 1e-300 && static_cast<T>(part.max) == T(0)) part.max = 0;
  const double mean = part.sum / static_cast<double>(count);
  part.deviations = part.squares - part.sum * mean;
  if (part.deviations < 1e-5 * part.squares) part.deviations = deviations_about(x, mean);
}

}  // namespace GRADWELL_LEVEL
}  // namespace gradwell

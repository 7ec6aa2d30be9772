#include "gradwell/statistics.h"

#include "cpu/level.h"
#include "cpu/parallel.h"

namespace gradwell {
namespace GRADWELL_LEVEL {
namespace {

// What one chunk of at most 4096 elements gives. The sums are of scale x, its square, scale (x - shift), its square.
struct Part {
  double sum, squares, shifted_sum, shifted_squares;
  double min, max, largest, smallest;
  std::int32_t zeros, nans, infs;
};

constexpr Part nothing = {0, 0, 0, 0, __builtin_inf(), -__builtin_inf(), 0, __builtin_inf(), 0, 0, 0};

// The standard deviation is taken about `shift`, an element of the array: without it a small spread about a
// large mean would be lost to cancellation.
template <class T>
struct Frame {
  T shift;
  T scale;
};

template <class T>
constexpr typename Simd<T>::Integer exponent_mask =
    sizeof(T) == 4 ? static_cast<typename Simd<T>::Integer>(0x7f800000)
                   : static_cast<typename Simd<T>::Integer>(0x7ff0000000000000ll);

// Sixteen lanes side by side, written so that the compiler makes vectors of them at every level.
constexpr int width = 16;

template <class T>
struct Lanes {
  double sum[width], squares[width], shifted_sum[width], shifted_squares[width];
  T min[width], max[width], largest[width], smallest[width];
  std::int32_t zeros[width], nans[width], infs[width];
};

template <class T>
GRADWELL_INLINE void take(Lanes<T>& lane, const T* x, Frame<T> frame) {
  constexpr T infinity = sizeof(T) == 4 ? static_cast<T>(__builtin_inff()) : static_cast<T>(__builtin_inf());
#pragma omp simd
  for (int k = 0; k < width; ++k) {
    const T value = x[k];
    const T size = value < 0 ? -value : value;
    const bool finite = size < infinity;
    const bool zero = value == 0;
    const T kept = finite && !zero ? value : T(0);  // a flushed denormal is zero here too
    const double scaled = static_cast<double>(kept * frame.scale);
    const double moved = finite ? scaled - static_cast<double>(frame.shift * frame.scale) : 0.0;
    lane.sum[k] += scaled;
    lane.squares[k] += scaled * scaled;
    lane.shifted_sum[k] += moved;
    lane.shifted_squares[k] += moved * moved;
    lane.min[k] = finite && kept < lane.min[k] ? kept : lane.min[k];
    lane.max[k] = finite && kept > lane.max[k] ? kept : lane.max[k];
    lane.largest[k] = finite && size > lane.largest[k] ? size : lane.largest[k];
    lane.smallest[k] = !zero && size < lane.smallest[k] ? size : lane.smallest[k];
    lane.zeros[k] += zero;
    lane.nans[k] += value != value;
    lane.infs[k] += size == infinity;
  }
}

template <class T>
Part measure_chunk(const T* x, Index count, Frame<T> frame) {
  constexpr T infinity = sizeof(T) == 4 ? static_cast<T>(__builtin_inff()) : static_cast<T>(__builtin_inf());
  Lanes<T> lane;
  for (int k = 0; k < width; ++k) {
    lane.sum[k] = lane.squares[k] = lane.shifted_sum[k] = lane.shifted_squares[k] = 0;
    lane.min[k] = lane.smallest[k] = infinity;
    lane.max[k] = -infinity;
    lane.largest[k] = 0;
    lane.zeros[k] = lane.nans[k] = lane.infs[k] = 0;
  }
  Index i = 0;
  for (; i + width <= count; i += width) take(lane, x + i, frame);
  Part part = nothing;
  if (i < count) {  // the rest, filled up with zeros that are not counted
    T rest[width] = {};
    for (Index k = 0; i + k < count; ++k) rest[k] = x[i + k];
    Lanes<T> before = lane;
    take(lane, rest, frame);
    for (Index k = count - i; k < width; ++k) {
      lane.min[k] = before.min[k];
      lane.max[k] = before.max[k];
      lane.zeros[k] = before.zeros[k];
      lane.shifted_sum[k] = before.shifted_sum[k];
      lane.shifted_squares[k] = before.shifted_squares[k];
    }
  }
  for (int k = 0; k < width; ++k) {
    part.sum += lane.sum[k];
    part.squares += lane.squares[k];
    part.shifted_sum += lane.shifted_sum[k];
    part.shifted_squares += lane.shifted_squares[k];
    part.min = static_cast<double>(lane.min[k]) < part.min ? static_cast<double>(lane.min[k]) : part.min;
    part.max = static_cast<double>(lane.max[k]) > part.max ? static_cast<double>(lane.max[k]) : part.max;
    const double largest = static_cast<double>(lane.largest[k]), smallest = static_cast<double>(lane.smallest[k]);
    part.largest = largest > part.largest ? largest : part.largest;
    part.smallest = smallest < part.smallest ? smallest : part.smallest;
    part.zeros += lane.zeros[k];
    part.nans += lane.nans[k];
    part.infs += lane.infs[k];
  }
  return part;
}

// Parts of up to 1024 chunks are made in any order and added in theirs. The caller's stack holds them.
constexpr Index most_parts = 1024;

template <class Made, class Make, class Add>
GRADWELL_INLINE void in_order(Context context, Index count, Index weight, Make&& make, Add&& add) {
  Made parts[most_parts];
  for (Index first = 0; first < count; first += most_parts * chunk_size) {
    const Index rest = count - first < most_parts * chunk_size ? count - first : most_parts * chunk_size;
    for_each_chunk(context, rest, weight,
                   [&](Index begin, Index end) { parts[begin / chunk_size] = make(first + begin, end - begin); });
    for (Index chunk = 0; chunk * chunk_size < rest; ++chunk) add(parts[chunk]);
  }
}

// Four tables take turns, so that two equal exponents in a row do not wait for one another.
template <class T>
void count_exponents(const T* x, Index count, std::uint64_t* histogram) {
  constexpr int bits = Simd<T>::mantissa_bits;
  constexpr int values = sizeof(T) == 4 ? 256 : 2048;
  constexpr int shift = exponent_bias - static_cast<int>(Simd<T>::bias);
  std::uint32_t table[4][values] = {};
  for (Index i = 0; i < count; ++i) {
    typename Simd<T>::Integer raw;
    __builtin_memcpy(&raw, x + i, sizeof raw);
    ++table[i & 3][(raw & exponent_mask<T>) >> bits];
  }
  for (int e = 1; e < values - 1; ++e) histogram[e + shift] += table[0][e] + table[1][e] + table[2][e] + table[3][e];
  if (table[0][0] + table[1][0] + table[2][0] + table[3][0] == 0) return;
  // Exponent 0 is zero, or denormal: those count here where they do not count as zero.
  for (Index i = 0; i < count; ++i) {
    typename Simd<T>::Integer raw;
    __builtin_memcpy(&raw, x + i, sizeof raw);
    if ((raw & exponent_mask<T>) != 0 || x[i] == 0) continue;
    const double value = static_cast<double>(x[i]) * (sizeof(T) == 4 ? 1.0 : 0x1p64);
    std::int64_t wide;
    __builtin_memcpy(&wide, &value, sizeof wide);
    const int exponent = static_cast<int>((wide >> 52) & 0x7ff) - (sizeof(T) == 4 ? 0 : 64);
    ++histogram[exponent > 0 ? exponent : 0];
  }
}

// The power of two that brings `largest` near 1, where squares of float64 would leave its range; else 1.
template <class T>
T rescue_scale(double largest) {
  if (sizeof(T) == 4 || largest == 0 || (largest > 1e-120 && largest < 1e140)) return T(1);
  return static_cast<T>(largest < 1 ? 0x1p500 : 0x1p-520);
}

// Square roots by the compiler's instruction; no call to libm.
double root(double x) {
  return x > 0 ? __builtin_sqrt(x) : 0;
}

template <class T>
Statistics measure(Context context, const T* x, Index count, std::uint64_t* histogram) {
  const T first = count > 0 ? x[0] : T(0);
  Frame<T> frame = {first - first == T(0) ? first : T(0), T(1)};
  Part all = nothing;
  Index zeros = 0, nans = 0, infs = 0;
  const auto chunk = [&](Index begin, Index size) { return measure_chunk<T>(x + begin, size, frame); };
  const auto add_sums = [&](const Part& part) {
    all.sum += part.sum;
    all.squares += part.squares;
    all.shifted_sum += part.shifted_sum;
    all.shifted_squares += part.shifted_squares;
  };
  in_order<Part>(context, count, 4, chunk, [&](const Part& part) {
    add_sums(part);
    all.min = part.min < all.min ? part.min : all.min;
    all.max = part.max > all.max ? part.max : all.max;
    all.largest = part.largest > all.largest ? part.largest : all.largest;
    all.smallest = part.smallest < all.smallest ? part.smallest : all.smallest;
    zeros += part.zeros;
    nans += part.nans;
    infs += part.infs;
  });
  frame.scale = rescue_scale<T>(all.largest);
  if (frame.scale != T(1)) {
    all.sum = all.squares = all.shifted_sum = all.shifted_squares = 0;
    in_order<Part>(context, count, 4, chunk, add_sums);
  }
  // In runs short enough for the tables' 32 bits.
  constexpr Index run = Index{1} << 30;
  for (Index i = 0; histogram && i < count; i += run)
    count_exponents<T>(x + i, count - i < run ? count - i : run, histogram);

  constexpr double unknown = __builtin_nan("");
  const Index finite = count - nans - infs;
  const double n = static_cast<double>(finite);
  const double back = 1.0 / static_cast<double>(frame.scale);
  Statistics s;
  s.count = count;
  s.norm = finite || count == 0 ? root(all.squares) * back : unknown;
  s.rms = finite ? root(all.squares / n) * back : unknown;
  s.mean = finite ? all.sum / n * back : unknown;
  const double moved_mean = all.shifted_sum / n;
  s.std = finite ? root(all.shifted_squares / n - moved_mean * moved_mean) * back : unknown;
  s.min = finite ? all.min : unknown;
  s.max = finite ? all.max : unknown;
  s.largest = finite ? all.largest : unknown;
  s.smallest = all.smallest < __builtin_inf() ? all.smallest : unknown;
  s.zeros = zeros;
  s.nans = nans;
  s.infs = infs;
  return s;
}

template <class T>
double norm(Context context, const T* x, Index count) {
  return measure<T>(context, x, count, nullptr).norm;
}

template <class T>
double largest(Context context, const T* x, Index count) {
  using Integer = typename Simd<T>::Integer;
  Integer most = 0;
  in_order<Integer>(
      context, count, 1,
      [&](Index begin, Index size) {
        // The bits of |x|, read as integers, are ordered as the numbers are, with NaN above infinity.
        Bits<T> most_bits = {};
        for_each_pack<T>(size, [&](Index i, int n) {
          const Bits<T> bits = bits_of(magnitude<T>(load_n<T>(x + begin + i, n)));
          most_bits = bits > most_bits ? bits : most_bits;
        });
        Integer part = 0;
        for (int k = 0; k < lanes<T>; ++k) part = most_bits[k] > part ? most_bits[k] : part;
        return part;
      },
      [&](Integer part) { most = part > most ? part : most; });
  T value;
  __builtin_memcpy(&value, &most, sizeof value);
  return static_cast<double>(value);
}

}  // namespace

template <class T>
StatisticsKernels<T> statistics_kernels() {
  return {measure<T>, norm<T>, largest<T>};
}
template StatisticsKernels<float> statistics_kernels<float>();
template StatisticsKernels<double> statistics_kernels<double>();

}  // namespace GRADWELL_LEVEL
}  // namespace gradwell

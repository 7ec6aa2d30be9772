#include "gradwell/statistics.h"

#include "cpu/level.h"
#include "cpu/parallel.h"
#include "cpu/statistics_chunk.h"

namespace gradwell {
namespace GRADWELL_LEVEL {
namespace {

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

// Eight tables take turns, so that equal exponents close together do not wait for one another. Only exponents
// between those of `smallest` and `largest`, the least and greatest magnitude but 0, are cleared and added up.
template <class T>
void count_exponents(const T* x, Index count, double smallest, double largest, std::uint64_t* histogram) {
  constexpr int values = sizeof(T) == 4 ? 256 : 2048;
  constexpr int shift = exponent_bias - static_cast<int>(Simd<T>::bias);
  constexpr int tables = 8;
  const int first = biased_exponent<T>(static_cast<T>(smallest)), last = biased_exponent<T>(static_cast<T>(largest));
  std::uint32_t table[tables][values];
  for (auto& one : table) {
    for (int e = first; e <= last; ++e) one[e] = 0;
    one[0] = one[values - 1] = 0;  // zeros, and what is not finite
  }
  Index i = 0;
  for (; i + tables <= count; i += tables)
#pragma GCC unroll 8
    for (int k = 0; k < tables; ++k) ++table[k][biased_exponent<T>(x[i + k])];
  for (; i < count; ++i) ++table[0][biased_exponent<T>(x[i])];
  for (int e = first > 0 ? first : 1; e <= last; ++e)
    for (const auto& one : table) histogram[e + shift] += one[e];
  if (first > 0) return;
  // Denormals share exponent 0 with zero; float32's have exponents of their own in the histogram.
  for (i = 0; i < count; ++i) {
    if (biased_exponent<T>(x[i]) != 0 || x[i] == 0) continue;
    const int exponent = sizeof(T) == 4 ? biased_exponent<double>(static_cast<double>(x[i])) : 0;
    ++histogram[exponent];
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
  const auto chunk = [&](Index begin, Index size) { return measure_chunk<T>(x + begin, size, frame); };
  in_order<Part>(context, count, 2, chunk, [&](const Part& part) { add(all, part); });
  const double largest = all.largest;
  frame.scale = rescue_scale<T>(largest);
  if (frame.scale != T(1)) {
    all.sum = all.squares = all.shifted_squares = 0;
    in_order<Part>(context, count, 2, chunk, [&](const Part& part) { add_sums(all, part); });
  }
  const Index finite = count - all.nans - all.infs;
  // In runs short enough for the tables' 32 bits.
  constexpr Index run = Index{1} << 30;
  for (Index i = 0; histogram && largest > 0 && i < count; i += run)
    count_exponents<T>(x + i, count - i < run ? count - i : run, all.smallest, largest, histogram);

  constexpr double unknown = __builtin_nan("");
  const double n = static_cast<double>(finite);
  const double back = 1.0 / static_cast<double>(frame.scale);
  const double mean = all.sum / n;
  const double moved_mean = mean - static_cast<double>(frame.shift * frame.scale);
  Statistics s;
  s.count = count;
  s.norm = finite || count == 0 ? root(all.squares) * back : unknown;
  s.rms = finite ? root(all.squares / n) * back : unknown;
  s.mean = finite ? mean * back : unknown;
  s.std = finite ? root(all.shifted_squares / n - moved_mean * moved_mean) * back : unknown;
  s.min = finite ? all.min : unknown;
  s.max = finite ? all.max : unknown;
  s.largest = finite ? largest : unknown;
  s.smallest = all.smallest < __builtin_inf() ? all.smallest : unknown;
  s.zeros = all.zeros;
  s.nans = all.nans;
  s.infs = all.infs;
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

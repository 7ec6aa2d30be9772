// What a block finds out about one piece of at most 4096 elements. Private to cpp/src/cuda.
#pragma once

#include "cuda/statistics.h"

namespace gradwell {
namespace cuda {

constexpr int piece_threads = 128, piece_warps = piece_threads / 32;
constexpr int own_elements = static_cast<int>(part_elements) / piece_threads;

// Twice the bits of x: the sign is gone, and they are ordered as |x| is. Below `least` is what has no exponent.
template <class T>
GRADWELL_INLINE Words<T> doubled_bits(T x) {
  const auto bits = same_bits<Words<T>>(x);
  return bits + bits;
}
template <class T>
constexpr auto least = static_cast<Words<T>>(1) << (Simd<T>::mantissa_bits + 1);
template <class T>
constexpr int not_finite = 2 * static_cast<int>(Simd<T>::bias) + 1;

template <class T>
GRADWELL_INLINE int exponent_of(T x) {
  return static_cast<int>(doubled_bits(x) >> (Simd<T>::mantissa_bits + 1));
}

// x in double, a denormal as what it is or as zero: from its bits, since arithmetic on float32 flushes it.
GRADWELL_INLINE double number_of(float x, bool flush) {
  if (exponent_of(x) > 0) return static_cast<double>(x);
  const auto bits = same_bits<std::uint32_t>(x);
  const double size = flush ? 0.0 : static_cast<double>(bits & 0x7fffffffu) * 0x1p-149;
  return bits >> 31 ? -size : size;
}
GRADWELL_INLINE double number_of(double x, bool flush) {
  return flush && exponent_of(x) == 0 ? 0.0 : x;
}

template <class T>
GRADWELL_INLINE T element(const Matrix<const T>& x, int k) {
  if (x.rows <= 1) return x.data[k];
  const int columns = static_cast<int>(x.columns);
  return x.data[k / columns * x.stride + k % columns];
}

// What the warps of a block have found.
template <class T>
struct PieceMemory {
  unsigned bins[ExponentRange<T>::count];
  double sum[piece_warps], squares[piece_warps], deviations[piece_warps];
  double min[piece_warps], max[piece_warps], smallest[piece_warps];
  T low[piece_warps], high[piece_warps];
  Words<T> doubled[piece_warps];
  int zeros[piece_warps], nans[piece_warps], infs[piece_warps];
};

// Any number of values is joined over the block by one barrier: before it every warp leaves its own, after it every
// thread joins what they left.
template <class V, class Join>
__device__ void leave(V* place, V value, Join join) {
  value = join_warp(value, join);
  if (threadIdx.x % 32 == 0) place[threadIdx.x / 32] = value;
}
template <class V, class Join>
__device__ V joined(const V* place, Join join) {
  V value = place[0];
  for (int w = 1; w < piece_warps; ++w) value = join(value, place[w]);
  return value;
}

template <class T>
__device__ void write_bins(const PieceMemory<T>& memory, int low, int high, StatisticsPart<T>* to) {
  for (int bin = low + static_cast<int>(threadIdx.x); bin <= high; bin += piece_threads)
    to->bins[bin] = static_cast<std::uint16_t>(memory.bins[bin]);
}

// For pieces with a NaN or an infinity, with denormals that count, and for float64 whose squares would leave the range.
// They are read again.
template <class T>
static __device__ __attribute__((noinline)) void measure_with_care(Matrix<const T> x, bool flush,
                                                                   PieceMemory<T>& memory, StatisticsPart<T>* to) {
  const int thread = static_cast<int>(threadIdx.x), count = static_cast<int>(x.rows * x.columns);
  const auto each = [&](auto body) {
    for (int k = thread; k < count; k += piece_threads) {
      const T value = element(x, k);
      if (exponent_of(value) < not_finite<T>) body(number_of(value, flush));
    }
  };
  for (int bin = thread; bin < ExponentRange<T>::count; bin += piece_threads) memory.bins[bin] = 0;
  int zeros = 0, nans = 0, infs = 0;
  double min = infinite, max = -infinite, smallest = infinite;
  each([&](double value) {
    min = value < min ? value : min;
    max = value > max ? value : max;
    const double size = value < 0 ? -value : value;
    zeros += size == 0;
    if (size > 0 && size < smallest) smallest = size;
  });
  for (int k = thread; k < count; k += piece_threads) {
    const Words<T> doubled = doubled_bits(element(x, k)), infinity = least<T> * not_finite<T>;
    infs += doubled == infinity;
    nans += doubled > infinity;
  }
  leave(memory.zeros, zeros, Plus{});
  leave(memory.nans, nans, Plus{});
  leave(memory.infs, infs, Plus{});
  leave(memory.min, min, Lesser{});
  leave(memory.max, max, Greater{});
  leave(memory.smallest, smallest, Lesser{});
  __syncthreads();
  zeros = joined(memory.zeros, Plus{});
  nans = joined(memory.nans, Plus{});
  infs = joined(memory.infs, Plus{});
  min = joined(memory.min, Lesser{});
  max = joined(memory.max, Greater{});
  smallest = joined(memory.smallest, Lesser{});
  const double most = -min > max ? -min : max;
  const double scale = most > 1e140 ? 0x1p-520 : (most > 0 && most < 1e-120 ? 0x1p500 : 1.0);
  const auto bin_of = [](double size) { return exponent_of(size) - ExponentRange<T>::lowest; };
  double sum = 0, squares = 0, deviations = 0;
  each([&](double value) {
    const double scaled = value * scale;
    sum += scaled;
    squares += scaled * scaled;
    if (value != 0) atomicAdd(memory.bins + bin_of(value), 1u);
  });
  leave(memory.sum, sum, Plus{});
  leave(memory.squares, squares, Plus{});
  __syncthreads();
  sum = joined(memory.sum, Plus{});
  const int finite = count - nans - infs;
  const double mean = sum / (finite > 0 ? finite : 1);
  each([&](double value) {
    const double moved = value * scale - mean;
    deviations += moved * moved;
  });
  leave(memory.deviations, deviations, Plus{});
  __syncthreads();
  const bool any = finite > zeros;
  const int low = any ? bin_of(smallest) : 0, high = any ? bin_of(most) : -1;
  write_bins(memory, low, high, to);
  if (thread > 0) return;
  to->scale = scale;
  to->sum = sum;
  to->squares = joined(memory.squares, Plus{});
  to->deviations = joined(memory.deviations, Plus{});
  to->min = min;
  to->max = max;
  to->smallest = smallest;
  to->count = count;
  to->zeros = zeros;
  to->nans = nans;
  to->infs = infs;
  to->low = low;
  to->high = high;
}

template <class T>
__device__ void measure_piece(Matrix<const T> x, bool flush, StatisticsPart<T>* to) {
  __shared__ PieceMemory<T> memory;
  constexpr int shift = exponent_bias - static_cast<int>(Simd<T>::bias) - ExponentRange<T>::lowest;
  const int thread = static_cast<int>(threadIdx.x), count = static_cast<int>(x.rows * x.columns);
  const int mine = (count - thread + piece_threads - 1) / piece_threads;  // elements of this thread
  if (!flush) return measure_with_care(x, flush, memory, to);
  T own[own_elements];  // zero beyond the end
  if (x.rows <= 1) {
    const T* const from = x.data + thread;
    GRADWELL_UNROLL
    for (int k = 0; k < own_elements; ++k) own[k] = k < mine ? from[k * piece_threads] : T(0);
  } else {
    GRADWELL_UNROLL
    for (int k = 0; k < own_elements; ++k) own[k] = k < mine ? element(x, thread + k * piece_threads) : T(0);
  }
  double sum = 0, squares = 0;
  T low = static_cast<T>(infinite), high = -low;
  Words<T> smallest = ~Words<T>{};  // less `least`, where zero is beyond all others
  GRADWELL_UNROLL
  for (int k = 0; k < own_elements; ++k) {
    const Words<T> doubled = doubled_bits(own[k]);
    if (doubled < least<T>) own[k] = T(0);
    smallest = lesser(static_cast<Words<T>>(doubled - least<T>), smallest);
    if (k < mine) {
      low = lesser(own[k], low);
      high = greater(own[k], high);
    }
    const double wide = static_cast<double>(own[k]);
    sum += wide;
    squares = fma(wide, wide, squares);
  }
  leave(memory.sum, sum, Plus{});
  leave(memory.squares, squares, Plus{});
  leave(memory.low, low, Lesser{});
  leave(memory.high, high, Greater{});
  leave(memory.doubled, smallest, Lesser{});
  __syncthreads();
  sum = joined(memory.sum, Plus{});
  squares = joined(memory.squares, Plus{});
  low = joined(memory.low, Lesser{});
  high = joined(memory.high, Greater{});
  smallest = static_cast<Words<T>>(joined(memory.doubled, Lesser{}) + least<T>);
  const T most = -low > high ? -low : high;
  const double largest = static_cast<double>(most);
  const bool in_range = sizeof(T) == 4 || largest == 0 || (largest > 1e-120 && largest < 1e140);
  if (!(squares < infinite) || !in_range) return measure_with_care(x, flush, memory, to);
  const int last = exponent_of(most);
  const int first = last == 0 ? 1 : static_cast<int>(smallest >> (Simd<T>::mantissa_bits + 1));
  unsigned* const bins = memory.bins + shift;  // bins[e] is that of exponent e, bins[0] that of zeros
  for (int e = first + thread; e <= last; e += piece_threads) bins[e] = 0;
  if (thread == 0) bins[0] = 0;
  __syncthreads();
  const double mean = sum / static_cast<double>(count);
  double deviations = 0;
  GRADWELL_UNROLL
  for (int k = 0; k < own_elements; ++k) {
    if (k >= mine) continue;
    atomicAdd(bins + exponent_of(own[k]), 1u);
    const double moved = static_cast<double>(own[k]) - mean;
    deviations = fma(moved, moved, deviations);
  }
  leave(memory.deviations, deviations, Plus{});
  __syncthreads();
  if (last > 0) write_bins(memory, first + shift, last + shift, to);
  if (thread > 0) return;
  to->scale = 1;
  to->sum = sum;
  to->squares = squares;
  to->deviations = joined(memory.deviations, Plus{});
  to->min = static_cast<double>(low);
  to->max = static_cast<double>(high);
  to->smallest = last > 0 ? static_cast<double>(same_bits<T>(static_cast<Words<T>>(smallest >> 1))) : infinite;
  to->count = count;
  to->zeros = static_cast<std::int32_t>(bins[0]);
  to->nans = to->infs = 0;
  to->low = last > 0 ? first + shift : 0;
  to->high = last > 0 ? last + shift : -1;
}

}  // namespace cuda
}  // namespace gradwell

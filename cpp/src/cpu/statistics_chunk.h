// The statistics of one chunk of at most 4096 elements. Private to cpp/src/cpu.
#pragma once

#include "cpu/simd.h"

namespace gradwell {
namespace GRADWELL_LEVEL {

// The sums are of scale x, its square, and the square of scale (x - shift).
struct Part {
  double sum, squares, shifted_squares;
  double min, max, largest, smallest;
  Index zeros, nans, infs;
};

constexpr Part nothing = {0, 0, 0, __builtin_inf(), -__builtin_inf(), 0, __builtin_inf(), 0, 0, 0};

// The standard deviation is taken about `shift`, an element of the array: without it a small spread about a large
// mean would be lost to cancellation. `scale` is a power of two that keeps squares within float64.
template <class T>
struct Frame {
  T shift;
  T scale;
};

template <class T>
constexpr typename Simd<T>::Integer exponent_mask =
    sizeof(T) == 4 ? static_cast<typename Simd<T>::Integer>(0x7f800000)
                   : static_cast<typename Simd<T>::Integer>(0x7ff0000000000000ll);

template <class T>
GRADWELL_INLINE int biased_exponent(T value) {
  typename Simd<T>::Integer raw;
  __builtin_memcpy(&raw, &value, sizeof raw);
  return static_cast<int>((raw & exponent_mask<T>) >> Simd<T>::mantissa_bits);
}

GRADWELL_INLINE void add_sums(Part& all, const Part& part) {
  all.sum += part.sum;
  all.squares += part.squares;
  all.shifted_squares += part.shifted_squares;
}

GRADWELL_INLINE void add(Part& all, const Part& part) {
  add_sums(all, part);
  all.min = part.min < all.min ? part.min : all.min;
  all.max = part.max > all.max ? part.max : all.max;
  all.largest = part.largest > all.largest ? part.largest : all.largest;
  all.smallest = part.smallest < all.smallest ? part.smallest : all.smallest;
  all.zeros += part.zeros;
  all.nans += part.nans;
  all.infs += part.infs;
}

// One element, whatever it is.
template <class T>
GRADWELL_INLINE void take(Part& part, T value, Frame<T> frame) {
  if (value != value) {
    ++part.nans;
    return;
  }
  const double size = static_cast<double>(value < 0 ? -value : value);
  if (size == __builtin_inf()) {
    ++part.infs;
    return;
  }
  const bool zero = value == 0;  // a flushed denormal is zero in everything
  const double exact = zero ? 0.0 : static_cast<double>(value);
  const double scaled = exact * static_cast<double>(frame.scale);
  const double moved = scaled - static_cast<double>(frame.shift * frame.scale);
  part.sum += scaled;
  part.squares += scaled * scaled;
  part.shifted_squares += moved * moved;
  part.min = exact < part.min ? exact : part.min;
  part.max = exact > part.max ? exact : part.max;
  part.zeros += zero;
  if (zero) return;
  part.largest = size > part.largest ? size : part.largest;
  part.smallest = size < part.smallest ? size : part.smallest;
}

// A vector of T as vectors of double: two of them for float.
template <class T>
constexpr int wide_parts = static_cast<int>(sizeof(double) / sizeof(T));

GRADWELL_INLINE Pack<double> load_wide(const double* p, int) {
  return load(p);
}
GRADWELL_INLINE Pack<double> load_wide(const float* p, int part) {
  typedef float Half __attribute__((vector_size(GRADWELL_VECTOR_BYTES / 2), aligned(4), may_alias));
  return __builtin_convertvector(*reinterpret_cast<const Half*>(p + part * lanes<double>), Pack<double>);
}

// What whole vectors have gathered, lane by lane.
template <class T>
struct Lanes {
  Pack<double> sum[wide_parts<T>], squares[wide_parts<T>], shifted_squares[wide_parts<T>];
  Pack<T> min, max, smallest;
  Bits<T> largest, zeros;
};

// Adds the lanes up in order; a flushed denormal left among the extremes is zero.
template <class T>
Part fold(const Lanes<T>& lane) {
  const auto plain = [](T value) { return value == 0 ? 0.0 : static_cast<double>(value); };
  const Pack<T> largest = from_bits(lane.largest);
  Part part = nothing;
  for (int k = 0; k < lanes<T>; ++k) {
    Part one = nothing;
    one.min = plain(lane.min[k]);
    one.max = plain(lane.max[k]);
    one.largest = plain(largest[k]);
    one.smallest = plain(lane.smallest[k]);
    one.zeros = -static_cast<Index>(lane.zeros[k]);
    add(part, one);
  }
  for (int p = 0; p < wide_parts<T>; ++p)
    for (int k = 0; k < lanes<double>; ++k) {
      part.sum += lane.sum[p][k];
      part.squares += lane.squares[p][k];
      part.shifted_squares += lane.shifted_squares[p][k];
    }
  return part;
}

// Whole vectors at speed; should one of them hold a NaN or an infinity, the chunk is taken again one by one.
template <class T>
Part measure_chunk(const T* x, Index count, Frame<T> frame) {
  Part part = nothing;
  Index i = 0;
  if (frame.scale == T(1) && count >= lanes<T>) {
    const Pack<T> infinity = from_bits(Bits<T>{} + exponent_mask<T>);
    const Pack<double> shift = broadcast(static_cast<double>(frame.shift));
    Lanes<T> lane = {{}, {}, {}, infinity, -infinity, infinity, {}, {}};
    for (; i + lanes<T> <= count; i += lanes<T>) {
      const Pack<T> value = load(x + i), size = magnitude<T>(value);
      const Bits<T> zero = value == T(0), bits = bits_of(size);
      const Pack<T> nonzero = zero ? infinity : size;
      lane.largest = bits > lane.largest ? bits : lane.largest;  // as integers: NaN above infinity above the rest
      lane.smallest = nonzero < lane.smallest ? nonzero : lane.smallest;
      lane.min = value < lane.min ? value : lane.min;
      lane.max = value > lane.max ? value : lane.max;
      lane.zeros += zero;
#pragma GCC unroll 2
      for (int p = 0; p < wide_parts<T>; ++p) {
        const Pack<double> wide = load_wide(x + i, p), moved = wide - shift;
        lane.sum[p] += wide;
        lane.squares[p] = fma(wide, wide, lane.squares[p]);
        lane.shifted_squares[p] = fma(moved, moved, lane.shifted_squares[p]);
      }
    }
    const Bits<T> bad = lane.largest >= exponent_mask<T>;
    bool finite = true;
    for (int k = 0; k < lanes<T>; ++k) finite = finite && bad[k] == 0;
    if (finite) {
      part = fold<T>(lane);
    } else {
      i = 0;
    }
  }
  for (; i < count; ++i) take<T>(part, x[i], frame);
  return part;
}

}  // namespace GRADWELL_LEVEL
}  // namespace gradwell

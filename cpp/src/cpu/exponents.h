// How often each binary exponent occurs in a piece of at most 4096 elements. Private to cpp/src/cpu.
#pragma once

#include "cpu/simd.h"

namespace gradwell {
namespace GRADWELL_LEVEL {

// The biased exponent of an element, as its format has it.
template <class T>
struct ExponentOf;
template <>
struct ExponentOf<float> {
  using Type = std::uint8_t;
  static constexpr int not_finite = 255;
};
template <>
struct ExponentOf<double> {
  using Type = std::uint16_t;
  static constexpr int not_finite = 2047;
};

// Many bytes at a time: 32, or 16 where vectors have no more. Wider compares give masks, which cost more to add up.
constexpr int bytes_wide = GRADWELL_VECTOR_BYTES < 32 ? GRADWELL_VECTOR_BYTES : 32;
typedef std::uint8_t Bytes __attribute__((vector_size(bytes_wide)));
typedef std::uint8_t UnalignedBytes __attribute__((vector_size(bytes_wide), aligned(1), may_alias));

GRADWELL_INLINE Bytes all_bytes(int value) {
  return Bytes{} + static_cast<std::uint8_t>(value);
}

// The sum of all bytes; and which of them, each 0 or 255, are not 0, as one bit each.
#if defined(__AVX2__)
GRADWELL_INLINE int sum_bytes(Bytes x) {
  const __m256i sums = _mm256_sad_epu8(reinterpret_cast<__m256i>(x), __m256i{});
  return static_cast<int>(sums[0] + sums[1] + sums[2] + sums[3]);
}
GRADWELL_INLINE std::uint32_t bits_of_bytes(Bytes x) {
  return static_cast<std::uint32_t>(_mm256_movemask_epi8(reinterpret_cast<__m256i>(x)));
}
#elif defined(__x86_64__)
GRADWELL_INLINE int sum_bytes(Bytes x) {
  const __m128i sums = _mm_sad_epu8(reinterpret_cast<__m128i>(x), __m128i{});
  return static_cast<int>(sums[0] + sums[1]);
}
GRADWELL_INLINE std::uint32_t bits_of_bytes(Bytes x) {
  return static_cast<std::uint32_t>(_mm_movemask_epi8(reinterpret_cast<__m128i>(x)));
}
#else
GRADWELL_INLINE int sum_bytes(Bytes x) {
  int sum = 0;
  for (int k = 0; k < bytes_wide; ++k) sum += x[k];
  return sum;
}
GRADWELL_INLINE std::uint32_t bits_of_bytes(Bytes x) {
  std::uint32_t bits = 0;
  for (int k = 0; k < bytes_wide; ++k) bits |= static_cast<std::uint32_t>(x[k] & 1) << k;
  return bits;
}
#endif

struct Found {
  int exponents, zeros;
};

// Adds to counts[e] how many of the first `whole` bytes, a multiple of bytes_wide, are e, for `together` exponents from
// top downwards, and counts zeros. A lane holds 255 at most, so that is how often it is added to.
constexpr int together = 8;
constexpr int most_groups = 3;  // more cost as much as counting one by one
GRADWELL_INLINE Found count_group(const std::uint8_t* exponents, int whole, int top, std::uint16_t* counts) {
  constexpr int most = 255 * bytes_wide;
  Found found = {0, 0};
  for (int begin = 0; begin < whole; begin += most) {
    const int end = whole - begin < most ? whole : begin + most;
    Bytes wanted[together], seen[together] = {}, zeros = {};
#pragma GCC unroll 8
    for (int k = 0; k < together; ++k)  // below 1, one that does not occur
      wanted[k] = all_bytes(top - k > 0 ? top - k : ExponentOf<float>::not_finite);
    for (int i = begin; i < end; i += bytes_wide) {
      const Bytes here = *reinterpret_cast<const UnalignedBytes*>(exponents + i);
      zeros -= reinterpret_cast<Bytes>(here == Bytes{});
#pragma GCC unroll 8
      for (int k = 0; k < together; ++k) seen[k] -= reinterpret_cast<Bytes>(here == wanted[k]);
    }
    found.zeros += sum_bytes(zeros);
    for (int k = 0; k < together && top - k > 0; ++k) {
      const int sum = sum_bytes(seen[k]);
      counts[top - k] = static_cast<std::uint16_t>(counts[top - k] + sum);
      found.exponents += sum;
    }
  }
  return found;
}

// Adds those in (0, top] one by one.
GRADWELL_INLINE void count_rare(const std::uint8_t* exponents, int whole, int top, std::uint16_t* counts) {
  const Bytes limit = all_bytes(top);
  for (int i = 0; i < whole; i += bytes_wide) {
    const Bytes here = *reinterpret_cast<const UnalignedBytes*>(exponents + i);
    const Bytes rare = reinterpret_cast<Bytes>(here <= limit) & reinterpret_cast<Bytes>(here != Bytes{});
    for (std::uint32_t bits = bits_of_bytes(rare); bits; bits &= bits - 1) ++counts[exponents[i + __builtin_ctz(bits)]];
  }
}

// counts[first ... last] become the number of each exponent among `count`, counts[0] that of zeros; no other occurs.
// Most elements have one of the few largest exponents: these are counted many elements at a time, the others alone.
GRADWELL_INLINE void count_exponents(const std::uint8_t* exponents, int count, int first, int last,
                                     std::uint16_t* counts) {
  for (int e = first; e <= last; ++e) counts[e] = 0;
  counts[0] = 0;
  const int whole = count / bytes_wide * bytes_wide;
  for (int i = whole; i < count; ++i) ++counts[exponents[i]];
  int top = last, left = whole, zeros = 0;
  const int few = whole / 64;
  for (int group = 0; group < most_groups && top >= first && left - zeros > few; ++group) {
    const Found found = count_group(exponents, whole, top, counts);
    zeros = found.zeros;
    left -= found.exponents;
    top -= together;
  }
  if (top == last) {  // nearly all are zeros, or there are few at all
    for (int i = 0; i < whole; ++i) ++counts[exponents[i]];
    return;
  }
  counts[0] = static_cast<std::uint16_t>(counts[0] + zeros);
  if (left > zeros) count_rare(exponents, whole, top, counts);
}

GRADWELL_INLINE void count_exponents(const std::uint16_t* exponents, int count, int first, int last,
                                     std::uint16_t* counts) {
  for (int e = first; e <= last; ++e) counts[e] = 0;
  counts[0] = 0;
  for (int i = 0; i < count; ++i) ++counts[exponents[i]];
}

}  // namespace GRADWELL_LEVEL
}  // namespace gradwell

// One number of one thread, under the names that vectors have in cpp/src/cpu (simd.h): what the shared formulas compute
// on here. Every fused multiply-add is spelled out and nothing else is contracted, so an element comes out with the
// same bits as at a CPU level that has the instruction. Private to cpp/src/cuda.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "gradwell/types.h"

#define GRADWELL_INLINE static __device__ inline __attribute__((always_inline))
#define GRADWELL_MEMBER __device__
#define GRADWELL_BOTH __host__ __device__
#define GRADWELL_TABLE static __device__ constexpr
#if defined(__CUDACC__)
#define GRADWELL_UNROLL _Pragma("unroll")
#define GRADWELL_UNROLL_BY_8 _Pragma("unroll 8")
#define GRADWELL_ANY_CALLER _Pragma("nv_exec_check_disable")
#else
#define GRADWELL_UNROLL
#define GRADWELL_UNROLL_BY_8
#define GRADWELL_ANY_CALLER
#endif

namespace gradwell {
namespace GRADWELL_LEVEL {

template <class T>
struct Simd;

template <>
struct Simd<float> {
  using Integer = std::int32_t;
  using Word = std::uint32_t;
  static constexpr int mantissa_bits = 23;
  static constexpr Integer bias = 127;
};

template <>
struct Simd<double> {
  using Integer = std::int64_t;
  using Word = std::uint64_t;
  static constexpr int mantissa_bits = 52;
  static constexpr Integer bias = 1023;
};

template <class T>
struct OneLane {
  using Type = T;
};
template <class T>
using Pack = typename OneLane<T>::Type;
template <class T>
using Bits = typename Simd<T>::Integer;
template <class T>
using Words = typename Simd<T>::Word;
template <class T>
constexpr int lanes = 1;

template <class T>
GRADWELL_INLINE T broadcast(T value) {
  return value;
}
template <class T>
GRADWELL_INLINE T load_n(const T* p, int) {
  return *p;
}
template <class T>
GRADWELL_INLINE void store_n(T* p, Pack<T> value, int) {
  *p = value;
}

GRADWELL_INLINE float fma(float a, float b, float c) {
  return __builtin_fmaf(a, b, c);
}
GRADWELL_INLINE double fma(double a, double b, double c) {
  return __builtin_fma(a, b, c);
}
GRADWELL_INLINE float root(float x) {
  return __builtin_sqrtf(x);
}
GRADWELL_INLINE double root(double x) {
  return __builtin_sqrt(x);
}

template <class To, class From>
GRADWELL_INLINE To same_bits(From from) {
  static_assert(sizeof(To) == sizeof(From), "the same size");
  To to;
  __builtin_memcpy(&to, &from, sizeof to);
  return to;
}
GRADWELL_INLINE std::int32_t bits_of(float x) {
  return same_bits<std::int32_t>(x);
}
GRADWELL_INLINE std::int64_t bits_of(double x) {
  return same_bits<std::int64_t>(x);
}
GRADWELL_INLINE float from_bits(std::int32_t x) {
  return same_bits<float>(x);
}
GRADWELL_INLINE double from_bits(std::int64_t x) {
  return same_bits<double>(x);
}
template <class T>
GRADWELL_INLINE T numbers_of(Bits<T> x) {
  return static_cast<T>(x);
}

template <class V>
GRADWELL_INLINE V lesser(V a, V b) {
  return a < b ? a : b;
}
template <class V>
GRADWELL_INLINE V greater(V a, V b) {
  return a > b ? a : b;
}
template <class T>
GRADWELL_INLINE T at_least(Pack<T> x, T limit) {
  return greater(limit, x);
}
template <class T>
GRADWELL_INLINE T at_most(Pack<T> x, T limit) {
  return lesser(limit, x);
}
template <class T>
GRADWELL_INLINE T magnitude(Pack<T> x) {
  constexpr auto all_but_sign = static_cast<Bits<T>>(~(1ull << (8 * sizeof(T) - 1)));
  return from_bits(static_cast<Bits<T>>(bits_of(x) & all_but_sign));
}
template <class T>
GRADWELL_INLINE T with_sign(Pack<T> x, Pack<T> sign) {
  constexpr auto sign_bit = static_cast<Bits<T>>(1ull << (8 * sizeof(T) - 1));
  return from_bits(static_cast<Bits<T>>(bits_of(x) | (bits_of(sign) & sign_bit)));
}

}  // namespace GRADWELL_LEVEL
}  // namespace gradwell

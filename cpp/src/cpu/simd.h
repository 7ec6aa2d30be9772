// Vectors of this CPU level and the few operations that need more than an operator. Private to cpp/src/cpu.
//
// Vector types are GCC's and Clang's own; intrinsics appear only where the compilers have no portable
// spelling: the fused multiply-add and loads and stores of part of a vector.
#pragma once

#include <cstdint>

#include "gradwell/types.h"

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#define GRADWELL_INLINE static inline __attribute__((always_inline))
// Of what is shared with cpp/src/cuda (elementwise/lanes.h): members and constructors, what a host calls too,
// constants.
#define GRADWELL_MEMBER
#define GRADWELL_BOTH
#define GRADWELL_TABLE static constexpr
#define GRADWELL_UNROLL _Pragma("GCC unroll 32")
#define GRADWELL_ANY_CALLER

namespace gradwell {
namespace GRADWELL_LEVEL {

#if defined(__AVX512F__)
#define GRADWELL_VECTOR_BYTES 64
#elif defined(__AVX2__)
#define GRADWELL_VECTOR_BYTES 32
#else
#define GRADWELL_VECTOR_BYTES 16
#endif

template <class T>
struct Simd;

template <>
struct Simd<float> {
  typedef float Pack __attribute__((vector_size(GRADWELL_VECTOR_BYTES)));
  typedef float Unaligned __attribute__((vector_size(GRADWELL_VECTOR_BYTES), aligned(4), may_alias));
  using Integer = std::int32_t;
  using Word = std::uint32_t;
  typedef Integer Bits __attribute__((vector_size(GRADWELL_VECTOR_BYTES)));
  typedef Word Words __attribute__((vector_size(GRADWELL_VECTOR_BYTES)));
  static constexpr int mantissa_bits = 23;
  static constexpr Integer bias = 127;
};

template <>
struct Simd<double> {
  typedef double Pack __attribute__((vector_size(GRADWELL_VECTOR_BYTES)));
  typedef double Unaligned __attribute__((vector_size(GRADWELL_VECTOR_BYTES), aligned(8), may_alias));
  using Integer = std::int64_t;
  using Word = std::uint64_t;
  typedef Integer Bits __attribute__((vector_size(GRADWELL_VECTOR_BYTES)));
  typedef Word Words __attribute__((vector_size(GRADWELL_VECTOR_BYTES)));
  static constexpr int mantissa_bits = 52;
  static constexpr Integer bias = 1023;
};

template <class T>
using Pack = typename Simd<T>::Pack;
template <class T>
using Bits = typename Simd<T>::Bits;
template <class T>
using Words = typename Simd<T>::Words;
template <class T>
constexpr int lanes = GRADWELL_VECTOR_BYTES / static_cast<int>(sizeof(T));

template <class T>
GRADWELL_INLINE Pack<T> broadcast(T value) {
  return value - Pack<T>{};
}
template <class T>
GRADWELL_INLINE Pack<T> load(const T* p) {
  return *reinterpret_cast<const typename Simd<T>::Unaligned*>(p);
}
template <class T>
GRADWELL_INLINE void store(T* p, Pack<T> value) {
  *reinterpret_cast<typename Simd<T>::Unaligned*>(p) = value;
}

#if defined(__AVX512F__)
GRADWELL_INLINE Pack<float> load_part(const float* p, int n) {
  return _mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1), p);
}
GRADWELL_INLINE Pack<double> load_part(const double* p, int n) {
  return _mm512_maskz_loadu_pd(static_cast<__mmask8>((1u << n) - 1), p);
}
GRADWELL_INLINE void store_part(float* p, Pack<float> value, int n) {
  _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << n) - 1), value);
}
GRADWELL_INLINE void store_part(double* p, Pack<double> value, int n) {
  _mm512_mask_storeu_pd(p, static_cast<__mmask8>((1u << n) - 1), value);
}
#elif defined(__AVX2__)
GRADWELL_INLINE __m256i part_mask(const float*, int n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
GRADWELL_INLINE __m256i part_mask(const double*, int n) {
  return _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3));
}
GRADWELL_INLINE Pack<float> load_part(const float* p, int n) {
  return _mm256_maskload_ps(p, part_mask(p, n));
}
GRADWELL_INLINE Pack<double> load_part(const double* p, int n) {
  return _mm256_maskload_pd(p, part_mask(p, n));
}
GRADWELL_INLINE void store_part(float* p, Pack<float> value, int n) {
  _mm256_maskstore_ps(p, part_mask(p, n), value);
}
GRADWELL_INLINE void store_part(double* p, Pack<double> value, int n) {
  _mm256_maskstore_pd(p, part_mask(p, n), value);
}
#else
template <class T>
GRADWELL_INLINE Pack<T> load_part(const T* p, int n) {
  T part[lanes<T>] = {};
  for (int i = 0; i < n; ++i) part[i] = p[i];
  return load(part);
}
template <class T>
GRADWELL_INLINE void store_part(T* p, Pack<T> value, int n) {
  T part[lanes<T>];
  store(part, value);
  for (int i = 0; i < n; ++i) p[i] = part[i];
}
#endif

// A store past the caches, to memory that is not read soon; p on a whole vector. `stream_fence` before others may read.
#if defined(__AVX512F__)
GRADWELL_INLINE void stream(float* p, Pack<float> value) {
  _mm512_stream_ps(p, value);
}
GRADWELL_INLINE void stream(double* p, Pack<double> value) {
  _mm512_stream_pd(p, value);
}
#elif defined(__AVX2__)
GRADWELL_INLINE void stream(float* p, Pack<float> value) {
  _mm256_stream_ps(p, value);
}
GRADWELL_INLINE void stream(double* p, Pack<double> value) {
  _mm256_stream_pd(p, value);
}
#else
template <class T>
GRADWELL_INLINE void stream(T* p, Pack<T> value) {
  store(p, value);
}
#endif
GRADWELL_INLINE void stream_fence() {
#if defined(__x86_64__)
  _mm_sfence();
#endif
}

// a b + c in one rounding where the level has it.
#if defined(__AVX512F__)
GRADWELL_INLINE Pack<float> fma(Pack<float> a, Pack<float> b, Pack<float> c) {
  return _mm512_fmadd_ps(a, b, c);
}
GRADWELL_INLINE Pack<double> fma(Pack<double> a, Pack<double> b, Pack<double> c) {
  return _mm512_fmadd_pd(a, b, c);
}
#elif defined(__FMA__)
GRADWELL_INLINE Pack<float> fma(Pack<float> a, Pack<float> b, Pack<float> c) {
  return _mm256_fmadd_ps(a, b, c);
}
GRADWELL_INLINE Pack<double> fma(Pack<double> a, Pack<double> b, Pack<double> c) {
  return _mm256_fmadd_pd(a, b, c);
}
#elif defined(__aarch64__)
GRADWELL_INLINE Pack<float> fma(Pack<float> a, Pack<float> b, Pack<float> c) {
  return vfmaq_f32(c, a, b);
}
GRADWELL_INLINE Pack<double> fma(Pack<double> a, Pack<double> b, Pack<double> c) {
  return vfmaq_f64(c, a, b);
}
#else
GRADWELL_INLINE Pack<float> fma(Pack<float> a, Pack<float> b, Pack<float> c) {
  return a * b + c;
}
GRADWELL_INLINE Pack<double> fma(Pack<double> a, Pack<double> b, Pack<double> c) {
  return a * b + c;
}
#endif

// Square roots, correctly rounded.
#if defined(__AVX512F__)
GRADWELL_INLINE Pack<float> root(Pack<float> x) {
  return _mm512_maskz_sqrt_ps(0xffff, x);
}
GRADWELL_INLINE Pack<double> root(Pack<double> x) {
  return _mm512_maskz_sqrt_pd(0xff, x);
}
#elif defined(__AVX2__)
GRADWELL_INLINE Pack<float> root(Pack<float> x) {
  return _mm256_sqrt_ps(x);
}
GRADWELL_INLINE Pack<double> root(Pack<double> x) {
  return _mm256_sqrt_pd(x);
}
#elif defined(__x86_64__)
GRADWELL_INLINE Pack<float> root(Pack<float> x) {
  return _mm_sqrt_ps(x);
}
GRADWELL_INLINE Pack<double> root(Pack<double> x) {
  return _mm_sqrt_pd(x);
}
#else
GRADWELL_INLINE Pack<float> root(Pack<float> x) {
  for (int k = 0; k < lanes<float>; ++k) x[k] = __builtin_sqrtf(x[k]);
  return x;
}
GRADWELL_INLINE Pack<double> root(Pack<double> x) {
  for (int k = 0; k < lanes<double>; ++k) x[k] = __builtin_sqrt(x[k]);
  return x;
}
#endif

GRADWELL_INLINE Bits<float> bits_of(Pack<float> x) {
  return reinterpret_cast<Bits<float>>(x);
}
GRADWELL_INLINE Bits<double> bits_of(Pack<double> x) {
  return reinterpret_cast<Bits<double>>(x);
}
GRADWELL_INLINE Pack<float> from_bits(Bits<float> x) {
  return reinterpret_cast<Pack<float>>(x);
}
GRADWELL_INLINE Pack<double> from_bits(Bits<double> x) {
  return reinterpret_cast<Pack<double>>(x);
}

template <class T>
GRADWELL_INLINE Pack<T> numbers_of(Bits<T> x) {
  return __builtin_convertvector(x, Pack<T>);
}

// a < b ? a : b and a > b ? a : b, lane by lane: b where one of them is a NaN.
#if defined(__AVX512F__)
GRADWELL_INLINE Pack<float> lesser(Pack<float> a, Pack<float> b) {
  return _mm512_maskz_min_ps(0xffff, a, b);
}
GRADWELL_INLINE Pack<double> lesser(Pack<double> a, Pack<double> b) {
  return _mm512_maskz_min_pd(0xff, a, b);
}
GRADWELL_INLINE Words<float> lesser(Words<float> a, Words<float> b) {
  return reinterpret_cast<Words<float>>(
      _mm512_maskz_min_epu32(0xffff, reinterpret_cast<__m512i>(a), reinterpret_cast<__m512i>(b)));
}
GRADWELL_INLINE Pack<float> greater(Pack<float> a, Pack<float> b) {
  return _mm512_maskz_max_ps(0xffff, a, b);
}
GRADWELL_INLINE Pack<double> greater(Pack<double> a, Pack<double> b) {
  return _mm512_maskz_max_pd(0xff, a, b);
}
#elif defined(__AVX2__)
GRADWELL_INLINE Pack<float> lesser(Pack<float> a, Pack<float> b) {
  return _mm256_min_ps(a, b);
}
GRADWELL_INLINE Pack<double> lesser(Pack<double> a, Pack<double> b) {
  return _mm256_min_pd(a, b);
}
GRADWELL_INLINE Words<float> lesser(Words<float> a, Words<float> b) {
  return reinterpret_cast<Words<float>>(_mm256_min_epu32(reinterpret_cast<__m256i>(a), reinterpret_cast<__m256i>(b)));
}
GRADWELL_INLINE Pack<float> greater(Pack<float> a, Pack<float> b) {
  return _mm256_max_ps(a, b);
}
GRADWELL_INLINE Pack<double> greater(Pack<double> a, Pack<double> b) {
  return _mm256_max_pd(a, b);
}
#else
template <class V>
GRADWELL_INLINE V lesser(V a, V b) {
  return a < b ? a : b;
}
template <class V>
GRADWELL_INLINE V greater(V a, V b) {
  return a > b ? a : b;
}
#endif
#if defined(__AVX2__)
GRADWELL_INLINE Words<double> lesser(Words<double> a, Words<double> b) {
  return a < b ? a : b;
}
#endif

// x where it is not below (above) the limit, else the limit; a NaN stays.
template <class T>
GRADWELL_INLINE Pack<T> at_least(Pack<T> x, T limit) {
  return greater(broadcast(limit), x);
}
template <class T>
GRADWELL_INLINE Pack<T> at_most(Pack<T> x, T limit) {
  return lesser(broadcast(limit), x);
}

template <class T>
GRADWELL_INLINE Pack<T> magnitude(Pack<T> x) {
  constexpr auto all_but_sign = static_cast<typename Simd<T>::Integer>(~(1ull << (8 * sizeof(T) - 1)));
  return from_bits(bits_of(x) & all_but_sign);
}
// The sign of `sign` on the magnitude of x, which must not be negative.
template <class T>
GRADWELL_INLINE Pack<T> with_sign(Pack<T> x, Pack<T> sign) {
  constexpr auto sign_bit = static_cast<typename Simd<T>::Integer>(1ull << (8 * sizeof(T) - 1));
  return from_bits(bits_of(x) | (bits_of(sign) & sign_bit));
}

// A vector of T as vectors of double: two of them for float.
template <class T>
constexpr int wide_parts = static_cast<int>(sizeof(double) / sizeof(T));

GRADWELL_INLINE Pack<double> load_wide(const double* p, int) {
  return load(p);
}
// Spelled out where compilers take a detour over half vectors.
GRADWELL_INLINE Pack<double> load_wide(const float* p, int part) {
#if defined(__AVX512F__)
  return _mm512_maskz_cvtps_pd(0xff, _mm256_loadu_ps(p + part * 8));
#elif defined(__AVX2__)
  return _mm256_cvtps_pd(_mm_loadu_ps(p + part * 4));
#else
  typedef float Half __attribute__((vector_size(GRADWELL_VECTOR_BYTES / 2), aligned(4), may_alias));
  return __builtin_convertvector(*reinterpret_cast<const Half*>(p + part * lanes<double>), Pack<double>);
#endif
}

// Calls body(offset, n) for every full vector and once for what is left over; n is a compile-time constant
// in the full ones once inlined.
template <class T, class Body>
GRADWELL_INLINE void for_each_pack(Index count, Body&& body) {
  Index i = 0;
  for (; i + lanes<T> <= count; i += lanes<T>) body(i, lanes<T>);
  if (i < count) body(i, static_cast<int>(count - i));
}
template <class T>
GRADWELL_INLINE Pack<T> load_n(const T* p, int n) {
  return n == lanes<T> ? load(p) : load_part(p, n);
}
template <class T>
GRADWELL_INLINE void store_n(T* p, Pack<T> value, int n) {
  n == lanes<T> ? store(p, value) : store_part(p, value, n);
}

}  // namespace GRADWELL_LEVEL
}  // namespace gradwell

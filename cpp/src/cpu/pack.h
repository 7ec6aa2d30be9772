// The right factor of a product, copied into panels two vectors wide. Private to cpp/src/cpu.
#pragma once

#include "cpu/simd.h"

namespace gradwell {
namespace GRADWELL_LEVEL {

template <class T>
constexpr int tile_columns = 2 * lanes<T>;
constexpr int packed_depth = 512;  // a multiple of every vector's lanes

// Element (p, j) is data[p * stride + j], or data[j * stride + p] where transposed.
template <class T>
struct Right {
  const T* data;
  Index stride;
  bool transposed;
};

// Transposes a square of vectors: pairs of rows are interleaved within 128 bits, then pairs of those; then the 128 bits
// themselves change places. The size that matters most has the instructions spelled out; the others go through memory.
// The last argument only says which T it is.
template <class T>
GRADWELL_INLINE void transpose(Pack<T> (&rows)[lanes<T>], T) {
  constexpr int n = lanes<T>;
  T from[n * n], to[n];
  for (int i = 0; i < n; ++i) store(from + i * n, rows[i]);
  for (int i = 0; i < n; ++i) {
    for (int k = 0; k < n; ++k) to[k] = from[k * n + i];
    rows[i] = load(to);
  }
}

#if defined(__AVX512F__)
typedef double Wide __attribute__((vector_size(64)));
GRADWELL_INLINE Pack<float> low_halves(Pack<float> a, Pack<float> b) {
  return reinterpret_cast<Pack<float>>(
      _mm512_maskz_unpacklo_pd(0xff, reinterpret_cast<Wide>(a), reinterpret_cast<Wide>(b)));
}
GRADWELL_INLINE Pack<float> high_halves(Pack<float> a, Pack<float> b) {
  return reinterpret_cast<Pack<float>>(
      _mm512_maskz_unpackhi_pd(0xff, reinterpret_cast<Wide>(a), reinterpret_cast<Wide>(b)));
}
GRADWELL_INLINE void transpose(Pack<float> (&rows)[16], float) {
  constexpr __mmask16 all = 0xffff;
  Pack<float> fours[16];
#pragma GCC unroll 4
  for (int g = 0; g < 16; g += 4) {
    const Pack<float> a = _mm512_maskz_unpacklo_ps(all, rows[g], rows[g + 1]);
    const Pack<float> b = _mm512_maskz_unpackhi_ps(all, rows[g], rows[g + 1]);
    const Pack<float> c = _mm512_maskz_unpacklo_ps(all, rows[g + 2], rows[g + 3]);
    const Pack<float> d = _mm512_maskz_unpackhi_ps(all, rows[g + 2], rows[g + 3]);
    fours[g] = low_halves(a, c);
    fours[g + 1] = high_halves(a, c);
    fours[g + 2] = low_halves(b, d);
    fours[g + 3] = high_halves(b, d);
  }
#pragma GCC unroll 4
  for (int k = 0; k < 4; ++k) {
    const Pack<float> even_low = _mm512_maskz_shuffle_f32x4(all, fours[k], fours[4 + k], 0x88);
    const Pack<float> even_high = _mm512_maskz_shuffle_f32x4(all, fours[8 + k], fours[12 + k], 0x88);
    const Pack<float> odd_low = _mm512_maskz_shuffle_f32x4(all, fours[k], fours[4 + k], 0xdd);
    const Pack<float> odd_high = _mm512_maskz_shuffle_f32x4(all, fours[8 + k], fours[12 + k], 0xdd);
    rows[k] = _mm512_maskz_shuffle_f32x4(all, even_low, even_high, 0x88);
    rows[4 + k] = _mm512_maskz_shuffle_f32x4(all, odd_low, odd_high, 0x88);
    rows[8 + k] = _mm512_maskz_shuffle_f32x4(all, even_low, even_high, 0xdd);
    rows[12 + k] = _mm512_maskz_shuffle_f32x4(all, odd_low, odd_high, 0xdd);
  }
}
#elif defined(__AVX2__)
GRADWELL_INLINE void transpose(Pack<float> (&rows)[8], float) {
  Pack<float> fours[8];
  for (int g = 0; g < 8; g += 4) {
    const Pack<float> a = _mm256_unpacklo_ps(rows[g], rows[g + 1]), b = _mm256_unpackhi_ps(rows[g], rows[g + 1]);
    const Pack<float> c = _mm256_unpacklo_ps(rows[g + 2], rows[g + 3]);
    const Pack<float> d = _mm256_unpackhi_ps(rows[g + 2], rows[g + 3]);
    fours[g] = _mm256_shuffle_ps(a, c, 0x44);
    fours[g + 1] = _mm256_shuffle_ps(a, c, 0xee);
    fours[g + 2] = _mm256_shuffle_ps(b, d, 0x44);
    fours[g + 3] = _mm256_shuffle_ps(b, d, 0xee);
  }
  for (int k = 0; k < 4; ++k) {
    rows[k] = _mm256_permute2f128_ps(fours[k], fours[4 + k], 0x20);
    rows[4 + k] = _mm256_permute2f128_ps(fours[k], fours[4 + k], 0x31);
  }
}
#endif

// Panel columns j0 ... j0 + columns - 1, depth p0 ... p0 + depth - 1, into to[p * tile_columns + j].
template <class T>
GRADWELL_INLINE void pack(Right<T> b, Index p0, Index depth, Index j0, int columns, T* to) {
  constexpr int width = tile_columns<T>, n = lanes<T>;
  if (!b.transposed) {
    const int second = columns - n;
    for (Index p = 0; p < depth; ++p) {
      const T* from = b.data + (p0 + p) * b.stride + j0;
      store(to + p * width, second >= 0 ? load(from) : load_part(from, columns));
      if (second > 0) store(to + p * width + n, load_n<T>(from + n, second < n ? second : n));
    }
    return;
  }
  for (int j = 0; j < columns; j += n)
    for (Index p = 0; p < depth; p += n) {
      const int deep = static_cast<int>(depth - p < n ? depth - p : n);
      const T* from = b.data + (j0 + j) * b.stride + p0 + p;
      Pack<T> square[n];
#pragma GCC unroll 16
      for (int k = 0; k < n; ++k) square[k] = j + k < columns ? load_n<T>(from + k * b.stride, deep) : Pack<T>{};
      transpose(square, T{});
#pragma GCC unroll 16
      for (int k = 0; k < n; ++k) store(to + (p + k) * width + j, square[k]);
    }
}

// A block of the right factor as runs of memory: `count` of them, of `lines` lines of the cache, `apart` bytes apart.
template <class T>
struct Fetch {
  const char* data;
  Index count, lines, apart;
};

constexpr Index line = 64;

// The block of depth p0 ... p0 + block - 1 and one panel from column j0, as far as there is one.
template <class T>
GRADWELL_INLINE Fetch<T> fetch_next(Right<T> b, Index p0, Index j0, Index depth, Index columns, Index block) {
  const Index deep = depth - p0 < block ? depth - p0 : block;
  const Index wide = columns - j0 < tile_columns<T> ? columns - j0 : tile_columns<T>;
  if (deep <= 0 || wide <= 0) return {nullptr, 0, 0, 0};
  const Index size = static_cast<Index>(sizeof(T)), apart = b.stride * size;
  if (b.transposed)
    return {reinterpret_cast<const char*>(b.data + j0 * b.stride + p0), wide, (deep * size + line - 1) / line, apart};
  return {reinterpret_cast<const char*>(b.data + p0 * b.stride + j0), deep, (wide * size + line - 1) / line, apart};
}

// Its share number `part` of `parts`.
template <class T>
GRADWELL_INLINE void fetch_part(Fetch<T> fetch, Index part, Index parts) {
  const Index end = fetch.count * (part + 1) / parts;
  for (Index i = fetch.count * part / parts; i < end; ++i)
    for (Index k = 0; k < fetch.lines; ++k) __builtin_prefetch(fetch.data + i * fetch.apart + k * line, 0, 2);
}

}  // namespace GRADWELL_LEVEL
}  // namespace gradwell

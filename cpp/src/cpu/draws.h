// Uniform and normal random numbers for a tile of a matrix. Private to cpp/src/cpu.
//
// Word j % 4 of counter (j / 4, row, stream, step) belongs to column j, as in dropout. A tile's first column and all
// but the last tile's width are multiples of 4, so a tile draws for itself alone.
#pragma once

#include "cpu/pack.h"
#include "elementwise/draws.h"
#include "gradwell/boltzmann.h"

namespace gradwell {
namespace GRADWELL_LEVEL {

// Counters that go through the rounds side by side: as many as a tile's width needs.
template <class T>
constexpr int draw_lanes = tile_columns<T> / 4;

// words[4 * i + k] = word k of counter first + i, for i < Lanes.
template <int Lanes>
GRADWELL_INLINE void draw_words(DrawKey key, std::uint32_t first, std::uint32_t row, std::uint32_t* words) {
  constexpr std::uint64_t multiplier0 = 0xD2511F53u, multiplier1 = 0xCD9E8D57u;
  std::uint32_t c0[Lanes], c1[Lanes], c2[Lanes], c3[Lanes];
  const auto stream = stream_word(key.stream, key.step);
  for (int i = 0; i < Lanes; ++i) {
    c0[i] = first + static_cast<std::uint32_t>(i);
    c1[i] = row;
    c2[i] = stream;
    c3[i] = static_cast<std::uint32_t>(key.step);
  }
  auto key0 = static_cast<std::uint32_t>(key.seed), key1 = static_cast<std::uint32_t>(key.seed >> 32);
  for (int round = 0; round < 10; ++round) {
#pragma omp simd
    for (int i = 0; i < Lanes; ++i) {
      const std::uint64_t a = multiplier0 * c0[i], b = multiplier1 * c2[i];
      c0[i] = static_cast<std::uint32_t>(b >> 32) ^ c1[i] ^ key0;
      c1[i] = static_cast<std::uint32_t>(b);
      c2[i] = static_cast<std::uint32_t>(a >> 32) ^ c3[i] ^ key1;
      c3[i] = static_cast<std::uint32_t>(a);
    }
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  for (int i = 0; i < Lanes; ++i) {
    words[4 * i] = c0[i];
    words[4 * i + 1] = c1[i];
    words[4 * i + 2] = c2[i];
    words[4 * i + 3] = c3[i];
  }
}

template <class T>
GRADWELL_INLINE void draw_uniform(DrawKey key, std::uint32_t first, std::uint32_t row, T* u) {
  constexpr int count = 4 * draw_lanes<T>;
  std::uint32_t words[count];
  draw_words<draw_lanes<T>>(key, first, row, words);
#pragma omp simd
  for (int i = 0; i < count; ++i) u[i] = uniform_of<T>(words[i]);
}

// Normal numbers from uniform ones in place: columns 2m and 2m + 1 are the cosine and the sine part of one pair.
template <class T>
GRADWELL_INLINE void make_normal(T* u) {
  constexpr int pairs = 2 * draw_lanes<T>;
  T first[pairs], second[pairs];
  for (int m = 0; m < pairs; ++m) {
    first[m] = u[2 * m];
    second[m] = u[2 * m + 1];
  }
  for_each_pack<T>(pairs, [&](Index m, int n) {
    const NormalPair<T> normal = box_muller<T>(load_n<T>(first + m, n), load_n<T>(second + m, n));
    store_n<T>(first + m, normal.cosine, n);
    store_n<T>(second + m, normal.sine, n);
  });
  for (int m = 0; m < pairs; ++m) {
    u[2 * m] = first[m];
    u[2 * m + 1] = second[m];
  }
}

}  // namespace GRADWELL_LEVEL
}  // namespace gradwell

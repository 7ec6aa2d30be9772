// Uniform and normal random numbers for a tile of a matrix. Private to cpp/src/cpu.
//
// Word j % 4 of counter (j / 4, row, stream, step) belongs to column j, as in dropout. A tile's first column and all
// but the last tile's width are multiples of 4, so a tile draws for itself alone.
#pragma once

#include "cpu/pack.h"
#include "elementwise/math.h"
#include "elementwise/philox.h"
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
  const auto stream = key.stream ^ (static_cast<std::uint32_t>(key.step >> 32) << 16);
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

// u in [0, 1): 24 bits of a word in float32, all 32 in float64.
template <class T>
GRADWELL_INLINE void draw_uniform(DrawKey key, std::uint32_t first, std::uint32_t row, T* u) {
  constexpr int count = 4 * draw_lanes<T>;
  std::uint32_t words[count];
  draw_words<draw_lanes<T>>(key, first, row, words);
  constexpr int shift = sizeof(T) == 4 ? 8 : 0;
  constexpr T unit = sizeof(T) == 4 ? T(5.9604644775390625e-8) : T(2.3283064365386963e-10);
#pragma omp simd
  for (int i = 0; i < count; ++i) {
    if constexpr (sizeof(T) == 4)
      u[i] = static_cast<T>(static_cast<std::int32_t>(words[i] >> shift)) * unit;
    else
      u[i] = static_cast<T>(words[i]) * unit;
  }
}

// sin and cos of a quarter turn times x, |x| <= 1/2, by their series to float64's precision.
template <class T>
struct Turn {
  Pack<T> sine, cosine;
};
template <class T>
GRADWELL_INLINE Turn<T> quarter_turn(Pack<T> x) {
  const Pack<T> angle = x * T(1.5707963267948966), square = angle * angle;
  constexpr double sine[] = {1.0, -1.0 / 6, 1.0 / 120, -1.0 / 5040, 1.0 / 362880, -1.0 / 39916800, 1.0 / 6227020800.0};
  constexpr double cosine[] = {1.0,           -0.5,           1.0 / 24,          -1.0 / 720,
                               1.0 / 40320.0, -1.0 / 3628800, 1.0 / 479001600.0, -1.0 / 87178291200.0};
  Pack<T> s = broadcast(static_cast<T>(sine[6])), c = broadcast(static_cast<T>(cosine[7]));
#pragma GCC unroll 8
  for (int k = 5; k >= 0; --k) s = fma(s, square, broadcast(static_cast<T>(sine[k])));
#pragma GCC unroll 8
  for (int k = 6; k >= 0; --k) c = fma(c, square, broadcast(static_cast<T>(cosine[k])));
  return {s * angle, c};
}

// Normal numbers from uniform ones in place, Box and Muller (1958): columns 2m and 2m + 1 are the cosine and the sine
// part of one pair, radius from the first word, angle from the second.
template <class T>
GRADWELL_INLINE void make_normal(T* u) {
  constexpr int pairs = 2 * draw_lanes<T>;
  T first[pairs], second[pairs];
  for (int m = 0; m < pairs; ++m) {
    first[m] = u[2 * m];
    second[m] = u[2 * m + 1];
  }
  for_each_pack<T>(pairs, [&](Index m, int n) {
    const Pack<T> radius = root(T(-2) * log<T>(T(1) - load_n<T>(first + m, n)));  // 1 - u is above 0
    const Pack<T> turns = load_n<T>(second + m, n) * T(4);
    const Pack<T> shift = broadcast(Constants<T>::round_shift);
    const Pack<T> quarter = (turns + shift) - shift;
    const Turn<T> turn = quarter_turn<T>(turns - quarter);
    const auto odd = (quarter == T(1)) | (quarter == T(3));
    const auto down = (quarter == T(1)) | (quarter == T(2));
    const auto low = (quarter == T(2)) | (quarter == T(3));
    const Pack<T> cosine = odd ? turn.sine : turn.cosine, sine = odd ? turn.cosine : turn.sine;
    store_n<T>(first + m, radius * (down ? -cosine : cosine), n);
    store_n<T>(second + m, radius * (low ? -sine : sine), n);
  });
  for (int m = 0; m < pairs; ++m) {
    u[2 * m] = first[m];
    u[2 * m + 1] = second[m];
  }
}

}  // namespace GRADWELL_LEVEL
}  // namespace gradwell

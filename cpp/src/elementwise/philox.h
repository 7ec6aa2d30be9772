// Philox 4x32-10: ten rounds turn a counter of 128 bits and a key of 64 into 128 random bits. Shared by the levels of
// cpp/src/cpu and by cpp/src/cuda. J. Salmon, M. Moraes, R. Dror, D. Shaw (2011), Parallel random numbers: as easy as
// 1, 2, 3.
#pragma once

#include <cstdint>

#include "elementwise/lanes.h"

namespace gradwell {
namespace GRADWELL_LEVEL {

struct Random4 {
  std::uint32_t word[4];
};

GRADWELL_INLINE Random4 philox(Random4 counter, std::uint32_t key0, std::uint32_t key1) {
  constexpr std::uint64_t multiplier0 = 0xD2511F53u, multiplier1 = 0xCD9E8D57u;
  constexpr std::uint32_t weyl0 = 0x9E3779B9u, weyl1 = 0xBB67AE85u;
  GRADWELL_UNROLL
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = multiplier0 * counter.word[0], b = multiplier1 * counter.word[2];
    counter = {{static_cast<std::uint32_t>(b >> 32) ^ counter.word[1] ^ key0, static_cast<std::uint32_t>(b),
                static_cast<std::uint32_t>(a >> 32) ^ counter.word[3] ^ key1, static_cast<std::uint32_t>(a)}};
    key0 += weyl0;
    key1 += weyl1;
  }
  return counter;
}

// The words of columns 4 block ... 4 block + 3 of a row; the key is the seed. Where the step needs more than 32 bits
// the rest joins the stream's word.
GRADWELL_INLINE std::uint32_t stream_word(std::uint32_t stream, std::uint64_t step) {
  return stream ^ (static_cast<std::uint32_t>(step >> 32) << 16);
}
GRADWELL_INLINE Random4 random_words(std::uint64_t seed, std::uint64_t step, std::uint32_t stream, std::uint32_t block,
                                     std::uint32_t row) {
  return philox({{block, row, stream_word(stream, step), static_cast<std::uint32_t>(step)}},
                static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32));
}

}  // namespace GRADWELL_LEVEL
}  // namespace gradwell

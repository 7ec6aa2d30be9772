// Sizes of blocks: aligned, and checked against what memory can hold.
#pragma once

#include <limits>

#include "gradwell/check.h"
#include "gradwell/types.h"

namespace gradwell {

constexpr Index alignment = 16;  // numbers: every slice and buffer starts on 64 bytes, in float32 and float64

inline Index aligned(Index count) {
  return (count + alignment - 1) / alignment * alignment;
}

// Rows of the arena's matrices start on 64 bytes, and not at a power of two from one another: such rows would share few
// sets of the cache.
template <class T>
Index stride_of(Index columns) {
  const Index stride = aligned(columns);
  return stride * static_cast<Index>(sizeof(T)) % 512 == 0 ? stride + alignment : stride;
}

// a * b, or an error where that is more than an array can hold.
inline Index product(Index a, Index b) {
  Index result = 0;
  check(!__builtin_mul_overflow(a, b, &result) && result < std::numeric_limits<Index>::max() / 64, "network", a, " x ",
        b, " numbers are more than memory can hold");
  return result;
}

}  // namespace gradwell

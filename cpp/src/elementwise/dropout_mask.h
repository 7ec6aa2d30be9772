// The mask of dropout (gradwell/dropout.h) from a word of philox.h. Shared by the levels of cpp/src/cpu and by
// cpp/src/cuda.
#pragma once

#include "elementwise/philox.h"

namespace gradwell {
namespace GRADWELL_LEVEL {

template <class T>
struct DropoutMask {
  std::uint64_t threshold;
  T kept;
  GRADWELL_MEMBER T operator()(std::uint32_t word) const { return word < threshold ? T(0) : kept; }
};

template <class T>
GRADWELL_BOTH static inline DropoutMask<T> mask_of(double rate) {
  return {static_cast<std::uint64_t>(rate * 4294967296.0), static_cast<T>(1.0 / (1.0 - rate))};
}

}  // namespace GRADWELL_LEVEL
}  // namespace gradwell

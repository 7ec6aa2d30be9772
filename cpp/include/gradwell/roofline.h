// What the machine can do at most, for benchmarks to hold kernels against: multiply-adds that wait for no memory, and
// reads that wait for nothing else (Williams, Waterman, Patterson 2009). On one thread.
#pragma once

#include "gradwell/types.h"

namespace gradwell {

template <class T>
struct RooflineKernels {
  // Does about `count` multiply-adds on numbers in registers and returns how many.
  Index (*multiply_adds)(Index count);
  // Reads x and returns something that depends on all of it.
  T (*read)(const T* x, Index count);
};

}  // namespace gradwell

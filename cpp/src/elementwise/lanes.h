// What the formulas of this folder compute on: a vector of the CPU level that is being compiled, or one number of a
// thread of a GPU. Pack<T> is the one or the other; masks choose with ?: in both.
#pragma once

#if defined(GRADWELL_ONE_LANE)
#include "cuda/lane.h"
#else
#include "cpu/simd.h"
#endif

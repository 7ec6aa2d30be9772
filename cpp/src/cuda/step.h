// What a step reads and leaves on the device, so that one captured graph serves every step of a run. Private to
// cpp/src/cuda.
#pragma once

#include "gradwell/training.h"

namespace gradwell {
namespace cuda {

// Set before a run; `step` and `updates` go on by themselves.
struct RunState {
  std::uint64_t seed;
  Index first_step;              // the number of the run's first step
  Index step;                    // of this run; the step under way has number first_step + step
  Index updates;                 // taken by the optimiser before this step
  double bound, velocity_bound;  // above every |parameter| and |velocity|

  // Of the step under way, made where they are first known.
  double loss;  // sum over rows
  unsigned long long correct;
  double learning_rate, correction1, correction2;
  double norm_before, norm_after;  // of the gradients over all parameters
  Index cause;                     // the slice that had most of it
  int goes;                        // 1 where the parameters may move
  int fault;                       // a Fault; once it is set no step moves anything
  int close;                       // 1 where `bound` nears the end of the format: the host is to look
};

}  // namespace cuda
}  // namespace gradwell

// How many threads a kernel may use, and what becomes of them in a forked child.
#pragma once

#include "gradwell/types.h"

namespace gradwell {

// OMP_NUM_THREADS or the number of processors, until set.
int num_threads();
void set_num_threads(int count);

// libgomp's threads do not survive a fork, and asking for them again would hang: a child works on one thread.
// True once in a child that has lost threads this way.
bool take_fork_notice();

// From how many multiply-adds on another thread saves more than it costs: where it has to be woken; where it is awake
// and waits; and, between two times that threads meet, where they are kept awake. Measured by bench/thresholds.py,
// which also sets them.
struct Worth {
  Index waking = 400000;
  Index sharing = 60000;
  Index team = 150000;
};
Worth& worth();

Context make_context(bool flush_denormals);

}  // namespace gradwell

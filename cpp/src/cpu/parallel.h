// Work shared out between threads. Private to cpp/src/cpu.
#pragma once

#include "core/denormals.h"
#include "cpu/simd.h"

namespace gradwell {
namespace GRADWELL_LEVEL {

// Calls body(task) for every task in [0, tasks), on several threads where `work`, in multiply-adds or what takes as
// long, pays for it. Tasks must be independent of one another and of how many there are threads for: that keeps results
// the same bits.
template <class Body>
GRADWELL_INLINE void parallel_for(Context context, Index tasks, Index work, Body&& body) {
  if (context.threads <= 1 || tasks <= 1 || work < context.worth) {
    for (Index task = 0; task < tasks; ++task) body(task);
    return;
  }
  if (context.team) {
    const auto call = [](void* argument, Index task) { (*static_cast<decltype(&body)>(argument))(task); };
    context.team->run(context.team, tasks, call, const_cast<void*>(static_cast<const void*>(&body)));
    return;
  }
  const int threads = tasks < context.threads ? static_cast<int>(tasks) : context.threads;
#pragma omp parallel num_threads(threads)
  {
    DenormalGuard guard(context.flush_denormals);
#pragma omp for schedule(static)
    for (Index task = 0; task < tasks; ++task) body(task);
  }
}

// Calls body(begin, end) over [0, count) in chunks of 4096.
constexpr Index chunk_size = 4096;

template <class Body>
GRADWELL_INLINE void for_each_chunk(Context context, Index count, Index weight, Body&& body) {
  parallel_for(context, (count + chunk_size - 1) / chunk_size, count * weight, [&](Index chunk) {
    const Index begin = chunk * chunk_size;
    body(begin, begin + chunk_size < count ? begin + chunk_size : count);
  });
}

}  // namespace GRADWELL_LEVEL
}  // namespace gradwell

#include "gradwell/threads.h"

#include <omp.h>
#include <pthread.h>

#include <atomic>

namespace gradwell {
namespace {

std::atomic<int> limit{0};  // 0: not set
std::atomic<bool> forked{false};
std::atomic<bool> notice{false};

void in_child() {
  if (num_threads() > 1) notice = true;
  forked = true;
}

const int registered = pthread_atfork(nullptr, nullptr, in_child);

}  // namespace

int num_threads() {
  if (forked) return 1;
  const int count = limit;
  return count > 0 ? count : omp_get_max_threads();
}

void set_num_threads(int count) {
  limit = count;
}

bool take_fork_notice() {
  return notice.exchange(false);
}

Worth& worth() {
  static Worth measured;
  return measured;
}

Context make_context(bool flush_denormals) {
  static_cast<void>(registered);
  // Inside another parallel region of the caller's, more threads would only get in its way.
  return {omp_in_parallel() ? 1 : num_threads(), flush_denormals, nullptr, worth().waking};
}

}  // namespace gradwell

// Threads that stay awake for the length of one call, so that a step can hand them work many times over in a
// fraction of a microsecond each. They come from one OpenMP region around the call and go back to it; outside it
// none of ours spins.
//
// A job's tasks are dealt out in equal runs, one run a thread: the same thread gets the same part of the next
// job, whose data is in its cache. A thread that is done takes what is left of another's run, so one that the
// system has put aside holds up no more than the task it is in. Nothing here takes a lock.
#pragma once

#include <omp.h>

#include <atomic>
#include <exception>
#include <memory>

#include "core/denormals.h"
#include "gradwell/threads.h"

namespace gradwell {

class AwakeTeam : public Team {
 public:
  explicit AwakeTeam(int threads);

  // To be called by every thread but the first: takes tasks until `dismiss`.
  void serve(int thread);
  void dismiss();

 private:
  // The tasks of a run not yet taken: [next, end) of job `job`, in one word, so that taking one is one exchange.
  struct alignas(64) Run {
    std::atomic<std::uint64_t> word{0};
  };
  static void share(const Team* team, Index tasks, void (*body)(void*, Index), void* argument);
  bool take_one(Run& from);
  void work(int thread);

  int threads_;
  std::unique_ptr<Run[]> runs_;
  std::atomic<void (*)(void*, Index)> body_{nullptr};
  std::atomic<void*> argument_{nullptr};
  std::atomic<Index> group_{1}, tasks_{0};
  std::uint64_t job_ = 0;
  alignas(64) std::atomic<Index> pending_{0};
  alignas(64) std::atomic<bool> dismissed_{false};
};

// Calls body(context) with a team of context.threads threads that stays awake until it returns. An exception
// leaves through this call.
template <class Body>
void with_team(Context context, Body&& body) {
  if (context.threads <= 1) return body(context);
  AwakeTeam team(context.threads);
  std::exception_ptr error;
#pragma omp parallel num_threads(context.threads)
  {
    DenormalGuard guard(context.flush_denormals);
    if (omp_get_thread_num() > 0) {
      team.serve(omp_get_thread_num());
    } else {
      try {
        body(Context{context.threads, context.flush_denormals, &team, worth().sharing});
      } catch (...) {
        error = std::current_exception();
      }
      team.dismiss();
    }
  }
  if (error) std::rethrow_exception(error);
}

// Calls body(context) with a team where `work`, in multiply-adds between two times that threads meet, pays for one,
// else on this thread alone.
template <class Body>
void on_threads(Context context, double work, Body&& body) {
  if (work < static_cast<double>(worth().team)) return body(Context{1, context.flush_denormals});
  with_team(context, body);
}

// Calls body(task) for every task in [0, tasks), on the team where there is one.
template <class Body>
void for_each_task(Context context, Index tasks, Body&& body) {
  if (!context.team || tasks <= 1) {
    for (Index task = 0; task < tasks; ++task) body(task);
    return;
  }
  const auto call = [](void* argument, Index task) { (*static_cast<decltype(&body)>(argument))(task); };
  context.team->run(context.team, tasks, call, &body);
}

}  // namespace gradwell

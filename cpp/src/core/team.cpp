#include "core/team.h"

#include <sched.h>

namespace gradwell {
namespace {

constexpr int field = 16;  // bits for `next` and `end` each; the job's number has the rest
constexpr std::uint64_t mask = (1u << field) - 1;
constexpr int patience = 4000;  // looks before a waiting thread offers its processor to others

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

void wait(int& looks) {
  if (++looks < patience) {
    pause();
  } else {
    sched_yield();
  }
}

}  // namespace

AwakeTeam::AwakeTeam(int threads) : Team{share}, threads_(threads), runs_(new Run[static_cast<std::size_t>(threads)]) {}

// The exchange succeeds only while the job it saw is unfinished, so body and argument read before it are that job's.
bool AwakeTeam::take_one(Run& from) {
  std::uint64_t word = from.word.load(std::memory_order_acquire);
  for (;;) {
    const std::uint64_t next = word >> field & mask, end = word & mask;
    if (next >= end) return false;
    const auto body = body_.load(std::memory_order_relaxed);
    void* const argument = argument_.load(std::memory_order_relaxed);
    const Index group = group_.load(std::memory_order_relaxed), tasks = tasks_.load(std::memory_order_relaxed);
    if (!from.word.compare_exchange_weak(word, word + (std::uint64_t{1} << field), std::memory_order_acq_rel,
                                         std::memory_order_acquire))
      continue;
    const Index first = static_cast<Index>(next) * group;
    for (Index task = first; task < first + group && task < tasks; ++task) body(argument, task);
    pending_.fetch_sub(1, std::memory_order_release);
    return true;
  }
}

// One's own run, then what is left of the others': a job gets no new tasks, so one look at each is enough.
void AwakeTeam::work(int thread) {
  for (int k = 0; k < threads_; ++k)
    while (take_one(runs_[static_cast<std::size_t>((thread + k) % threads_)])) {
    }
}

void AwakeTeam::share(const Team* base, Index tasks, void (*body)(void*, Index), void* argument) {
  auto* const team = const_cast<AwakeTeam*>(static_cast<const AwakeTeam*>(base));
  const auto most = static_cast<Index>(mask);
  const Index group = (tasks + most - 1) / most, groups = (tasks + group - 1) / group;
  team->body_.store(body, std::memory_order_relaxed);
  team->argument_.store(argument, std::memory_order_relaxed);
  team->group_.store(group, std::memory_order_relaxed);
  team->tasks_.store(tasks, std::memory_order_relaxed);
  team->pending_.store(groups, std::memory_order_relaxed);
  ++team->job_;
  for (int t = team->threads_ - 1; t >= 0; --t) {
    const auto next = static_cast<std::uint64_t>(groups * t / team->threads_);
    const auto end = static_cast<std::uint64_t>(groups * (t + 1) / team->threads_);
    team->runs_[static_cast<std::size_t>(t)].word.store(team->job_ << (2 * field) | next << field | end,
                                                        std::memory_order_release);
  }
  team->work(0);
  for (int looks = 0; team->pending_.load(std::memory_order_acquire) > 0;) wait(looks);
}

void AwakeTeam::serve(int thread) {
  const Run& own = runs_[static_cast<std::size_t>(thread)];
  std::uint64_t seen = 0;
  for (int looks = 0; !dismissed_.load(std::memory_order_acquire);) {
    const std::uint64_t job = own.word.load(std::memory_order_acquire) >> (2 * field);
    if (job == seen) {
      wait(looks);
      continue;
    }
    seen = job;
    looks = 0;
    work(thread);
  }
}

void AwakeTeam::dismiss() {
  dismissed_.store(true, std::memory_order_release);
}

}  // namespace gradwell

#include "threads.h"

#include <sys/mman.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace gradwell_emulator {
namespace {

constexpr std::size_t stack_bytes = 128 * 1024;

// A place to go on at: a stack pointer, below which the registers that a call keeps are.
#if defined(__x86_64__)
using Place = void*;
extern "C" void gradwell_switch_stack(void** from, void* to);
asm(R"(
.text
.type gradwell_switch_stack, @function
gradwell_switch_stack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size gradwell_switch_stack, .-gradwell_switch_stack
)");
void go(Place& from, Place& to) {
  gradwell_switch_stack(&from, to);
}
void prepare(Place& place, char* stack, void (*start)()) {
  auto* top = reinterpret_cast<std::uintptr_t*>(stack + stack_bytes - 64);
  *--top = 0;  // where `start` would return to; it never does
  *--top = reinterpret_cast<std::uintptr_t>(start);
  for (int k = 0; k < 6; ++k) *--top = 0;
  place = top;
}
#else
using Place = ucontext_t;
void go(Place& from, Place& to) {
  swapcontext(&from, &to);
}
void prepare(Place& place, char* stack, void (*start)()) {
  getcontext(&place);
  place.uc_stack.ss_sp = stack;
  place.uc_stack.ss_size = stack_bytes;
  place.uc_link = nullptr;
  makecontext(&place, start, 0);
}
#endif

struct Barrier {
  unsigned arrived = 0, alive = 0, round = 0;
};

struct Thread {
  Place place;
  bool done = false;
  const Barrier* waits = nullptr;  // for its next round
  unsigned round = 0;
  unsigned exchange = 0;
  alignas(16) unsigned char shared_with_warp[2][16];
};

struct Block {
  unsigned blocks = 0, threads = 0, block = 0, current = 0;
  const std::function<void()>* kernel = nullptr;
  std::vector<Thread> all;
  std::vector<Barrier> warps;
  Barrier barrier;
  int votes = 0, verdict = 0;
  Place outside;
  char* stacks = nullptr;
  std::size_t stack_count = 0;
  std::vector<unsigned char> shared = std::vector<unsigned char>(most_shared + 64);

  ~Block() {
    if (stacks) munmap(stacks, stack_count * stack_bytes);
  }
  void reserve(unsigned count) {
    if (count <= stack_count) return;
    if (stacks) munmap(stacks, stack_count * stack_bytes);
    void* const memory =
        mmap(nullptr, count * stack_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) std::abort();
    stacks = static_cast<char*>(memory);
    stack_count = count;
  }
  void leave(Barrier& barrier_of) {
    --barrier_of.alive;
    if (barrier_of.alive > 0 && barrier_of.arrived == barrier_of.alive) open(barrier_of);
  }
  void open(Barrier& barrier_of) {
    barrier_of.arrived = 0;
    ++barrier_of.round;
    if (&barrier_of == &barrier) {
      verdict = votes;
      votes = 0;
    }
  }
  void meet(Barrier& barrier_of) {
    Thread& me = all[current];
    me.round = barrier_of.round;
    if (++barrier_of.arrived == barrier_of.alive) {
      open(barrier_of);
      return;
    }
    me.waits = &barrier_of;
    go(me.place, outside);
  }
};

thread_local Block* here = nullptr;  // kept until the process ends

void begin_thread() {
  (*here->kernel)();
  Thread& me = here->all[here->current];
  me.done = true;
  here->leave(here->barrier);
  here->leave(here->warps[here->current / 32]);
  go(me.place, here->outside);
}

void run_block() {
  Block& b = *here;
  b.barrier = {0, b.threads, 0};
  for (std::size_t w = 0; w < b.warps.size(); ++w) {
    const unsigned rest = b.threads - 32 * static_cast<unsigned>(w);
    b.warps[w] = {0, rest < 32 ? rest : 32, 0};
  }
  for (unsigned t = 0; t < b.threads; ++t) {
    b.all[t].done = false;
    b.all[t].waits = nullptr;
    b.all[t].exchange = 0;
    prepare(b.all[t].place, b.stacks + t * stack_bytes, begin_thread);
  }
  // Warp by warp: each goes on until all its threads wait for the block, or are done.
  for (unsigned left = b.threads; left > 0;) {
    bool moved = false;
    for (unsigned first = 0; first < b.threads; first += 32) {
      const unsigned end = first + 32 < b.threads ? first + 32 : b.threads;
      for (bool warp_moved = true; warp_moved;) {
        warp_moved = false;
        for (unsigned t = first; t < end; ++t) {
          Thread& thread = b.all[t];
          if (thread.done || (thread.waits && thread.waits->round == thread.round)) continue;
          thread.waits = nullptr;
          b.current = t;
          warp_moved = moved = true;
          go(b.outside, thread.place);
          left -= thread.done;
        }
      }
    }
    if (!moved) {
      std::fprintf(stderr, "emulated block %u: its threads wait for one another at different barriers\n", b.block);
      std::abort();
    }
  }
}

}  // namespace

void run_grid(unsigned blocks, unsigned threads, std::size_t shared_bytes, const std::function<void()>& kernel) {
  if (!here) here = new Block;
  Block& b = *here;
  b.reserve(threads);
  if (b.all.size() < threads) b.all = std::vector<Thread>(threads);
  b.warps.assign((threads + 31) / 32, {});
  b.blocks = blocks;
  b.threads = threads;
  b.kernel = &kernel;
  for (b.block = 0; b.block < blocks; ++b.block) {
    std::memset(b.shared.data(), 0xa5, shared_bytes + 64);  // nothing may be expected of it
    run_block();
  }
}

unsigned thread_index() {
  return here->current;
}
unsigned block_index() {
  return here->block;
}
unsigned block_size() {
  return here->threads;
}
unsigned grid_size() {
  return here->blocks;
}
int lane() {
  return static_cast<int>(here->current % 32);
}
void* shared_memory() {
  auto* const p = here->shared.data();
  return p + (64 - reinterpret_cast<std::uintptr_t>(p) % 64) % 64;
}
void meet_block() {
  here->meet(here->barrier);
}
int any_of_block(int value) {
  here->votes |= value != 0;
  here->meet(here->barrier);
  return here->verdict;
}
void meet_warp() {
  here->meet(here->warps[here->current / 32]);
}
void* place_of(int lane) {
  const unsigned exchange = here->all[here->current].exchange;
  return here->all[here->current / 32 * 32 + static_cast<unsigned>(lane)].shared_with_warp[exchange];
}
void next_exchange() {
  here->all[here->current].exchange ^= 1u;
}

}  // namespace gradwell_emulator

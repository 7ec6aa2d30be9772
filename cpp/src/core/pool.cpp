#include "core/pool.h"

#include <cstdint>
#include <cstdlib>
#include <mutex>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace gradwell {
namespace {

constexpr std::size_t page = 4096, huge_page = std::size_t{1} << 21, header = 64;
constexpr std::size_t most_bytes = std::size_t{1} << 27;  // kept
constexpr int most_blocks = 8;

// What stands before a block.
struct Head {
  void* memory;
  std::size_t bytes;  // usable
};

Head* head_of(void* block) {
  return reinterpret_cast<Head*>(static_cast<char*>(block) - header);
}

struct Pool {
  std::mutex mutex;
  void* blocks[most_blocks] = {};
  std::size_t bytes = 0;
  std::uint64_t made = 0;
};
Pool& pool() {
  static Pool* const one = new Pool;  // never destroyed: arrays may outlive everything
  return *one;
}

void* fresh(std::size_t bytes, std::uint64_t number) {
  const std::size_t shift = header * (1 + number * 5 % 60);
  const std::size_t wanted = bytes + page, alignment = wanted >= 2 * huge_page ? huge_page : page;
  const std::size_t all = (wanted + alignment - 1) / alignment * alignment;
  void* const memory = std::aligned_alloc(alignment, all);
  if (!memory) return nullptr;
#if defined(MADV_HUGEPAGE)
  if (alignment == huge_page) madvise(memory, all, MADV_HUGEPAGE);  // a wish: where it is not granted all works
#endif
  void* const block = static_cast<char*>(memory) + shift;
  *head_of(block) = {memory, all - shift};
  return block;
}

}  // namespace

// In a forked process another thread's lock would never be released: who does not get it does without the pool.
void* take_block(std::size_t bytes) {
  Pool& p = pool();
  std::uint64_t number = 0;
  if (p.mutex.try_lock()) {
    const std::lock_guard<std::mutex> hold(p.mutex, std::adopt_lock);
    number = p.made++;
    for (void*& block : p.blocks) {
      if (!block || head_of(block)->bytes < bytes || head_of(block)->bytes > bytes + bytes / 4 + 2 * huge_page)
        continue;
      void* const found = block;
      block = nullptr;
      p.bytes -= head_of(found)->bytes;
      return found;
    }
  }
  return fresh(bytes, number);
}

void give_block(void* block) {
  Pool& p = pool();
  if (p.mutex.try_lock()) {
    const std::lock_guard<std::mutex> hold(p.mutex, std::adopt_lock);
    const std::size_t bytes = head_of(block)->bytes;
    for (void*& place : p.blocks) {
      if (place || p.bytes + bytes > most_bytes) continue;
      place = block;
      p.bytes += bytes;
      return;
    }
  }
  std::free(head_of(block)->memory);
}

}  // namespace gradwell

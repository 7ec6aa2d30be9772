// Blocks of numbers on 64-byte boundaries, zeroed, freed by themselves.
#pragma once

#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "gradwell/types.h"

namespace gradwell {

// Rows of a large matrix are a page apart or more; on pages of 2 MiB, few translations serve them all.
constexpr std::size_t huge_page = std::size_t{1} << 21;
constexpr std::size_t worth_huge_pages = 2 * huge_page;

struct FreeBlock {
  void operator()(void* p) const { std::free(p); }
};

template <class T>
class Block {
 public:
  Block() = default;
  explicit Block(Index count) : count_(count) {
    const std::size_t wanted = static_cast<std::size_t>(count > 0 ? count : 1) * sizeof(T);
    const std::size_t alignment = wanted < worth_huge_pages ? 64 : huge_page;
    const std::size_t bytes = (wanted + alignment - 1) / alignment * alignment;
    void* memory = std::aligned_alloc(alignment, bytes);
    if (!memory) throw std::bad_alloc();
#if defined(MADV_HUGEPAGE)
    if (alignment == huge_page) madvise(memory, bytes, MADV_HUGEPAGE);  // a wish: where it is not granted all works
#endif
    std::memset(memory, 0, bytes);
    data_.reset(static_cast<T*>(memory));
  }
  T* data() const { return data_.get(); }
  Index size() const { return count_; }

 private:
  std::unique_ptr<T, FreeBlock> data_;
  Index count_ = 0;
};

}  // namespace gradwell

// Blocks of numbers on 64-byte boundaries, zeroed, freed by themselves.
#pragma once

#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

#include "gradwell/types.h"

namespace gradwell {

struct FreeBlock {
  void operator()(void* p) const { std::free(p); }
};

template <class T>
class Block {
 public:
  Block() = default;
  explicit Block(Index count) : count_(count) {
    const std::size_t bytes = (static_cast<std::size_t>(count > 0 ? count : 1) * sizeof(T) + 63) / 64 * 64;
    void* memory = std::aligned_alloc(64, bytes);
    if (!memory) throw std::bad_alloc();
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

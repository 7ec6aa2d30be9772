// Large results of kernels live in blocks that are used again once their array is gone. Fresh memory costs a page fault
// every few kilobytes, which takes longer than many a kernel.
#pragma once

#include <cstddef>

namespace gradwell {

constexpr std::size_t worth_pooling = std::size_t{1} << 18;

// A block of at least `bytes`, on 64 bytes, from the pool or fresh; null where there is no memory. Blocks begin at
// different places of their page: a store and a load a multiple of 4096 bytes apart hold each other up.
void* take_block(std::size_t bytes);
// Gives a block back; the pool keeps a few.
void give_block(void* block);

}  // namespace gradwell

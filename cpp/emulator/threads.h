// The threads of one block, taking turns on one thread of the CPU. Each has a stack of its own and goes on until it
// meets a barrier, or ends.
#pragma once

#include <cstddef>
#include <cstring>
#include <functional>

namespace gradwell_emulator {

constexpr std::size_t most_shared = 227 * 1024;  // of a block on sm_90

// Runs `kernel` once for every thread of every block.
void run_grid(unsigned blocks, unsigned threads, std::size_t shared_bytes, const std::function<void()>& kernel);

unsigned thread_index();
unsigned block_index();
unsigned block_size();
unsigned grid_size();
int lane();
void* shared_memory();

void meet_block();
int any_of_block(int value);
void meet_warp();
// This thread's place, of 16 bytes, among those that its warp shares for one exchange; and that of another lane.
void* place_of(int lane);
void next_exchange();

// What `value` is in another lane of the warp: all lanes must ask. Exchanges take turns with two places a lane: no lane
// is two exchanges ahead of another.
template <class V>
V of_lane(V value, int from) {
  static_assert(sizeof(V) <= 16, "a place has 16 bytes");
  std::memcpy(place_of(lane()), &value, sizeof value);
  meet_warp();
  V result;
  std::memcpy(&result, place_of(from), sizeof result);
  next_exchange();
  return result;
}

}  // namespace gradwell_emulator

// Arrays that are gone over number by number. Private to cpp/src/cuda.
#pragma once

#include "cuda/lane.h"
#include "cuda/launch.h"

namespace gradwell {
namespace cuda {

constexpr int numbers_at_once = 4;

// For the threads of a block: loads some items ahead, then body.put(i, item) for each.
template <class Body>
__device__ void visit_run(Index first, Index size, Body& body) {
  const Index end = first + size;
  for (Index base = first + threadIdx.x; base < end; base += numbers_at_once * static_cast<Index>(blockDim.x)) {
    typename Body::Item items[numbers_at_once];
    GRADWELL_UNROLL
    for (int k = 0; k < numbers_at_once; ++k)
      if (base + k * static_cast<Index>(blockDim.x) < end)
        items[k] = body.load(base + k * static_cast<Index>(blockDim.x));
    GRADWELL_UNROLL
    for (int k = 0; k < numbers_at_once; ++k)
      if (base + k * static_cast<Index>(blockDim.x) < end)
        body.put(base + k * static_cast<Index>(blockDim.x), items[k]);
  }
}

constexpr Index numbers_of_block = 2048;

template <class Body>
__global__ void __launch_bounds__(256) visit_numbers(Index count, Body body) {
  if (body.skips()) return;
  for (Index first = blockIdx.x * numbers_of_block; first < count; first += gridDim.x * numbers_of_block)
    visit_run(first, count - first < numbers_of_block ? count - first : numbers_of_block, body);
}

// `body` is a struct with Item, load(i), put(i, item), and skips(): whether there is nothing to do after all.
template <class Body>
void for_each_number(const char* name, Queue& queue, Index count, Body body) {
  const Index blocks = ceiling(count, numbers_of_block);
  launch(name, queue, {blocks < most_blocks ? blocks : most_blocks}, visit_numbers<Body>, count, body);
}

}  // namespace cuda
}  // namespace gradwell

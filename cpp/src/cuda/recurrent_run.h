// All steps of a recurrent layer in one launch: sequences do not depend on one another, so a block takes a few of them
// from the first step to the last and meets no other block. Private to cpp/src/cuda.
//
// It is taken where the recurrent weights fit into 64 registers of each of a block's 256 threads and its shared memory:
// on an H100 up to 128 units of an lstm, 147 of a gru, 256 of a plain cell in float32, and 88, 104, 181 in float64;
// near these ends only while the batch is small (rows_of_block).
#pragma once

#include "cuda/memory.h"
#include "gradwell/recurrent.h"

namespace gradwell {
namespace cuda {

struct BlockLimits {
  int processors;
  Index shared_bytes;  // of a block
};
BlockLimits block_limits();

// Whether it is taken for a run of this batch, which then is so for smaller ones too.
template <class T>
bool runs_forward(const RecurrentRun<T>&, BlockLimits);
template <class T>
bool runs_backward(const RecurrentRun<T>&, BlockLimits);

// As forward_by_steps, and the first states and cells are set to zeros. The way back takes the recurrent weights
// transposed, (gates * hidden, hidden).
template <class T>
void forward_in_one(Queue&, const RecurrentRun<T>&, BlockLimits, const T* recurrent, Sequence<T> y);
template <class T>
void backward_in_one(Queue&, const RecurrentRun<T>&, BlockLimits, const T* transposed, Sequence<const T> dy,
                     Matrix<const T> dlast, double* norms);

}  // namespace cuda
}  // namespace gradwell

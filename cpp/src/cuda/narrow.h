// A step of a chain of narrow dense layers in two launches. Private to cpp/src/cuda.
//
// Rows of a batch do not depend on one another: a block takes a few of them through all layers, forward and back,
// without meeting another block; all weights come from the second-level cache. Then blocks share out tiles of the
// weights, each making its gradient and stepping by it in registers: no gradient is stored. In between it is known that
// all gradients are finite, since each is a sum over the batch of products of an input and an error, whose largest
// magnitudes the first launch finds.
#pragma once

#include <vector>

#include "cuda/memory.h"
#include "cuda/optimizers.h"
#include "cuda/step.h"
#include "gradwell/device.h"

namespace gradwell {
namespace cuda {

constexpr Index narrow_width = 128;  // of every layer's outputs
constexpr int narrow_rows = 4;       // a block takes through the layers

// Of a layer, as kernels see it.
template <class T>
struct NarrowLayer {
  Index inputs, outputs;
  Index weight, bias;  // offsets; bias -1 for none
  Activation activation;
  T *y, *error;        // (rows, outputs)
  T* output_gradient;  // dC/dy is left there too, where it is not null
};

// A part of a weight that one block steps: its first row and column; row -1 for a bias.
struct NarrowTile {
  int layer, slice;
  Index row, column;
};

// Whether a network is such a chain, and a block's rows of it fit into that much shared memory.
template <class T>
bool is_narrow(const NetworkPlan& plan, Index shared_bytes);

template <class T>
class NarrowChain {
 public:
  NarrowChain(Queue& queue, const NetworkPlan& plan);
  // Where the stages keep outputs and errors, and where dC/dy of recorded steps is left.
  void bind(Queue& queue, std::vector<NarrowLayer<T>> layers, Index rows);
  Matrix<const T> output_gradient(std::size_t layer, Index rows) const;

  // To the outputs of the last layer.
  void forward(Queue& queue, const T* parameters, Matrix<const T> x);
  // From dC/dy in the last layer's error to all errors.
  void backward(Queue& queue, const T* parameters, Matrix<const T> x, bool records);
  // No element of a gradient is larger than this, after `backward`; NaN where an error is none.
  const double* bound() const { return bound_.data(); }
  // Gradients, and the step by them where state->goes. A recorded step leaves the gradients, and norms by slice.
  struct Recorded {
    T* gradients = nullptr;
    StepNorms* norms = nullptr;
  };
  void update(Queue& queue, const StepRule& rule, const SliceRule* rules, const RunState* state, Matrix<const T> x,
              T* parameters, gradwell::StepState<T> states, Recorded recorded);

 private:
  std::size_t shared_bytes() const;

  Index inputs_, count_;
  Index widest_ = 0;
  DeviceBlock<NarrowLayer<T>> layers_, recorded_layers_;
  std::vector<NarrowLayer<T>> known_;
  DeviceBlock<T> output_gradients_;
  DeviceBlock<StepNorms> tile_norms_;
  DeviceBlock<Index> first_tile_;  // of every slice, and the end
  DeviceBlock<NarrowTile> tiles_;
  DeviceBlock<unsigned long long> largest_;  // of every layer's inputs and errors, as bits of a double
  DeviceBlock<double> bound_;
};

}  // namespace cuda
}  // namespace gradwell

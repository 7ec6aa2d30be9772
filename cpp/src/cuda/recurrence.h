// A recurrent layer in one direction on the device: its memory, its passes over a batch, its gradients; contracts:
// gradwell/recurrent.h. First states are zeros. Private to cpp/src/cuda.
//
// As in gradwell/recurrence.h sequences lie time-major inside, x W + b of all steps is one product and the gradients of
// the weights are one over time each. Steps come in one of two ways, each way through time choosing for itself:
//
//   in one launch, where the recurrent weights fit into a block's registers and shared memory (recurrent_run.h);
//   else a product and a launch of gates for each (recurrent_steps.h).
#pragma once

#include "cuda/recurrent_run.h"
#include "cuda/recurrent_steps.h"
#include "gradwell/device.h"

namespace gradwell {
namespace cuda {

template <class T>
class CudaRecurrence {
 public:
  // The blocks on the device that the direction's offsets count from.
  CudaRecurrence(const StagePlan& stage, const DirectionPlan& direction, const T* parameters, T* gradients);

  // Memory for up to so many sequences of so many steps. What follows allocates nothing and waits for nothing, so it
  // may be captured; only cuBLASLt's choice of a product, once a shape, is made on the host.
  void reserve(Queue& queue, Index batch, Index steps);

  // x is (batch, steps, inputs), y (batch, steps, hidden) or null; lengths (batch), on the device, or null:
  // the way back reads them again.
  void forward(Queue& queue, Index batch, Sequence<const T> x, const Index* lengths, Sequence<T> y);
  // (batch, hidden) of the last pass.
  const T* last_state() const { return run_.states + run_.steps * run_.batch * run_.hidden; }

  // Once after a forward pass: dy and dlast, of the last states, may be null; norms (time_quantities, steps, batch)
  // too. Then dx gets its gradient, or has it added, and the block of gradients those of the weights.
  void backward(Queue& queue, Sequence<const T> dy, Matrix<const T> dlast, double* norms);
  void input_gradient(Queue& queue, Sequence<T> dx, bool adds);
  void gradients(Queue& queue);

 private:
  Index gates() const { return gates_of(run_.kind) * run_.hidden; }

  DirectionPlan offsets_;
  const T* parameters_;
  T* gradients_;
  Index inputs_;
  BlockLimits limits_;
  RecurrentRun<T> run_ = {};
  Index capacity_ = 0;
  DeviceBlock<T> x_, dx_, gates_, states_, cells_;
  StepScratch<T> scratch_;
  DeviceBlock<T> turned_;  // U, transposed
  DeviceBlock<double> parts_;
};

}  // namespace cuda
}  // namespace gradwell

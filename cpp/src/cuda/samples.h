// Samples on their way to a step: a whole set that stays on the device, or the rows of a run. Private to cpp/src/cuda.
#pragma once

#include "cuda/memory.h"
#include "cuda/step.h"

namespace gradwell {
namespace cuda {

// What a batch is made of, on the device. `whole`: targets that take part, where lengths make them fewer than rows.
template <class T>
struct BatchOfSamples {
  Matrix<const T> x;
  Targets<T> targets;
  const Index* lengths = nullptr;
  const Index* whole = nullptr;
};

struct SampleShape {
  Index inputs, outputs, output_steps;  // outputs: of a row, all its steps
};

// A set of samples on the device, rows without gaps.
template <class T>
class SampleBlock {
 public:
  // Room for `rows` like those of `like`; std::bad_alloc where they do not fit.
  void reserve(Queue& queue, SampleShape shape, const Samples<T>& like, Index rows);
  // Rows 0 ... count, from samples that lie anywhere on the host: those that `order` names, or the first.
  void fill(Queue& queue, const Samples<T>& from, const Index* order, Index count);
  Samples<T> view() const;
  Index capacity() const { return capacity_; }

 private:
  SampleShape shape_ = {0, 0, 0};
  Index capacity_ = 0;
  bool has_classes_ = false, has_lengths_ = false;
  DeviceBlock<T> x_, values_;
  DeviceBlock<Index> classes_, lengths_;
  PinnedBlock<T> staged_x_, staged_values_;
  PinnedBlock<Index> staged_classes_, staged_lengths_;
};

// The set that runs of steps take their samples from.
template <class T>
class HeldSamples {
 public:
  // Tries to keep all on the device; where they do not fit, or are none, a run brings its own.
  void hold(Queue& queue, SampleShape shape, const Samples<T>& samples);
  void release() { *this = HeldSamples(); }
  // The samples and the order of a run of `count` steps' rows: views of the device, good until the next call.
  void begin(Queue& queue, SampleShape shape, const Samples<T>& samples, const Index* order, Index count);
  const Samples<T>& samples() const { return samples_; }
  const Index* order() const { return order_.data(); }

 private:
  const T* held_from_ = nullptr;  // the host's x, to know it by
  Index held_rows_ = 0;
  SampleBlock<T> block_;
  Samples<T> samples_ = {};
  DeviceBlock<Index> order_;
  std::vector<Index> numbers_;
};

// Where the rows of one batch lie together.
template <class T>
class BatchMemory {
 public:
  void reserve(Queue& queue, SampleShape shape, Index rows);
  // Rows order[state->step * rows ... ] of `samples`, both on the device.
  BatchOfSamples<T> gather(Queue& queue, const Samples<T>& samples, const Index* order, const RunState* state,
                           Index batch, Index rows, bool counts_steps);
  // The first `rows` of samples of the host, from row `first` on.
  BatchOfSamples<T> take(Queue& queue, const Samples<T>& samples, Index first, Index rows, bool counts_steps);
  Matrix<T> input(Index rows) const { return {x_.data(), rows, shape_.inputs, shape_.inputs}; }
  Index* lengths() const { return lengths_.data(); }

 private:
  SampleShape shape_ = {0, 0, 0};
  DeviceBlock<T> x_, values_;
  DeviceBlock<Index> classes_, lengths_, whole_;
};

}  // namespace cuda
}  // namespace gradwell

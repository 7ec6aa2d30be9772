// Writes the gradient record of a network on the device, as Recorder (cpp/src/recorder.h) does on the CPU. Private to
// cpp/src/cuda.
//
// `prepare` comes before a recorded step and may allocate. In the step the program calls
//   saturation, output_gradient, error, part, time    where these values are at hand, on the way forward and back
//   measure    once all gradients are made and before any of them changes
//   steps      once the parameters have moved
// They enqueue work and can be captured: where a step's results go is counted on the device. `finish` appends to a
// Record what the steps since the last `finish` have left.
#pragma once

#include <limits>
#include <map>
#include <vector>

#include "cuda/activation.h"
#include "cuda/memory.h"
#include "cuda/statistics.h"
#include "gradwell/device.h"
#include "gradwell/record.h"

namespace gradwell {
namespace cuda {

constexpr double not_measured = std::numeric_limits<double>::quiet_NaN();

// Where a stage's output and error lie, (rows of the batch * steps, units) without gaps. An error that `passes` is
// overwritten before `measure`, such as that of a joint: it is measured when the program calls `error`.
template <class T>
struct RecordedStage {
  Matrix<const T> output, error;
  bool passes = false;
};
template <class T>
struct RecordedArrays {
  std::vector<RecordedStage<T>> stages;
  const T* gradients = nullptr;  // the block
};

template <class T>
class CudaRecorder {
 public:
  // `window`: samples a unit must have been inactive for to be called dead.
  CudaRecorder(Queue&, const NetworkPlan&, Index window);

  // For steps of `rows` samples, at most `slots` of them before `finish`; at once where nothing is new. True where
  // memory has moved: what was captured is to be captured again.
  bool prepare(Queue&, const RecordedArrays<T>&, Index rows, Index slots);
  Index slot_bytes() const { return slot_bytes_; }

  // What `of` is made from must stay until `measure`.
  void saturation(Queue&, int stage, Derivative<T> of);
  void output_gradient(Queue&, int stage, Matrix<const T> dy);
  void error(Queue&, int stage);
  // What the skip connection or the branch of the block closed by `joint` adds to the error of the block's beginning.
  void part(Queue&, int joint, bool skip, Matrix<const T> values);
  // What one direction of a recurrent layer has left on its way back: `norms` (time_quantities, steps, batch).
  void time(Queue&, int stage, int direction, const double* norms);

  void measure(Queue&);
  // `norms` by slice, on the device; left out where no parameter moves.
  void steps(Queue&, const StepNorms* norms);

  // Of `count` steps; Record::steps is left to the caller. `stepped`: the last one's update was carried out, as those
  // before it were.
  void finish(Queue&, Record&, Index count, bool stepped);

 private:
  struct Stage {
    Index units = 0, steps = 1;
    Index first_unit = 0;  // among those of all stages
    bool joint = false;
    bool has_norm[3] = {};                 // dC/dy, branch, skip: what the program has handed over
    bool counted = false, linear = false;  // its saturated outputs; there are none, and no dead unit
    std::vector<std::uint8_t> lived;       // in this window
    Index seen = 0;
    double dead = not_measured;
    Index figures = 0;                // of the time record, of one direction
    std::vector<Index> first_figure;  // by direction
  };
  struct Tables {
    RecordedArrays<T> arrays;
    DeviceBlock<MeasureTask<T>> tasks;
    DeviceBlock<PieceOf> pieces;
    DeviceBlock<MergeTask> merges;
    Index together = 0;                   // pieces that `measure` measures, the first ones
    std::vector<Index> first_piece, own;  // by stage: those that `error` does
    Index parts = 0;
  };

  std::size_t entries() const { return 2 * stages_.size() + slices_.size(); }
  Index stage_count() const { return static_cast<Index>(stages_.size()); }
  Slots slots() const { return {slot_.data(), slots_of_, slot_bytes_}; }
  template <class V>
  V* slot_at(Index offset) const {
    return reinterpret_cast<V*>(results_.data() + offset);
  }
  double* sums_of(int stage, int which) const {
    return sums_.data() + (static_cast<Index>(stage) * 3 + which) * norm_numbers<T>;
  }
  void start_over(Queue&);
  void make_tables(Queue&, Tables&, const RecordedArrays<T>&) const;
  void take_norm(Queue&, int stage, int which, Matrix<const T> values);
  void append(Record&, const unsigned char* slot, bool stepped);
  StageEntry stage_entry(std::size_t stage, const unsigned char* slot, double error_norm);

  std::vector<Stage> stages_;
  std::vector<Slice> slices_;
  Index window_, units_ = 0, figures_ = 0;
  bool flush_;
  std::map<Index, Tables> tables_;  // by rows
  const Tables* current_ = nullptr;
  Index rows_ = 0;
  std::vector<SaturationTask<T>> saturations_;  // handed over since the last `measure`

  DeviceBlock<StatisticsPart<T>> parts_;
  DeviceBlock<double> sums_;  // by stage and norm
  DeviceBlock<double> figures_made_;
  DeviceBlock<unsigned long long> flat_;
  DeviceBlock<typename SameSize<T>::Integer> alive_;

  // Results of a step lie together, these far from where its slot begins.
  Index norms_at_ = 0, steps_at_ = 0, figures_at_ = 0, flat_at_ = 0, rows_at_ = 0, alive_at_ = 0, slot_bytes_ = 0;
  Index slots_of_ = 0;
  DeviceBlock<unsigned char> results_;
  PinnedBlock<unsigned char> fetched_;
  DeviceBlock<Index> slot_;  // of the step under way, -1 before the first
};

}  // namespace cuda
}  // namespace gradwell

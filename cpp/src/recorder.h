// Writes the gradient record while the values are at hand. It reads; it never changes what it measures.
//
// During a step every piece of every array is measured into a part of its own, by whichever thread has it in its
// cache; `finish` merges the parts, in their order, into the record.
#pragma once

#include "gradwell/program.h"

namespace gradwell {

template <class T>
struct Pass;

template <class T>
class Recorder {
 public:
  // `window`: samples a unit must have been inactive for to be called dead. `blocks` holds, for each slice, of how
  // many blocks of how many numbers it is measured.
  struct Blocks {
    Index count, numbers;
  };
  Recorder(const std::vector<StageInfo>& stages, std::vector<Blocks> blocks, Index window);

  // Memory for steps of up to `batch` samples.
  void prepare(Index batch);
  // Room for `steps` more records, so that none of them allocates (but for unusually wide histograms).
  void reserve(Record& record, std::size_t steps) const;
  void begin(Record& record, Index step, Index batch);

  // Of `rows` of the batch, which start at a multiple of part_rows.
  void activation(const Pass<T>& pass, int stage, Rows rows, Matrix<const T> y);
  void saturation(const Pass<T>& pass, int stage, Rows rows, Derivative<T> of);
  void output_gradient(const Pass<T>& pass, int stage, Rows rows, Matrix<const T> dy);
  void error(const Pass<T>& pass, int stage, Rows rows, Matrix<const T> delta);
  // What the skip connection or the branch of the block closed by `stage` adds to the error of the block's beginning.
  void part(const Pass<T>& pass, int stage, bool skip, Rows rows, Matrix<const T> values);
  // Of one block of a slice.
  void gradient(const Pass<T>& pass, std::size_t slice, Index block, Matrix<const T> values);
  void step(std::size_t slice, Index block, StepNorms norms) {
    steps_[first_block_[slice] + static_cast<std::size_t>(block)] = norms;
  }

  // The next figure of the time records, in the order of the stages.
  void time(double value) { time_.push_back(value); }

  // Merges what was measured. `stepped`: the update was carried out, and its norms belong to the record.
  void finish(Context context, bool stepped);

 private:
  struct Stage {
    Index units = 0, first_part = 0;  // units of one step
    Index steps = 1;
    Pieces cut = {};
    Block<double> parts[2];                      // norms of branch and skip parts, by group of part_rows rows
    Block<typename SameSize<T>::Integer> alive;  // by group of part_rows rows of the batch, and unit
    Block<std::uint8_t> lived;                   // in this window
    Block<Index> flat;                           // by the same groups
    Index seen = 0;
    double dead = 0;
    bool joint = false;
  };

  std::size_t entries() const { return 2 * stages_.size() + blocks_.size(); }
  Index parts_at(std::size_t entry, Index* count) const;
  void merge(std::size_t entry);
  StageEntry finish_stage(Stage& stage, const Statistics& error);
  Index piece_of(const Stage& stage, Rows rows) const { return rows.first / stage.cut.rows * stage.cut.across; }
  // Rows of sequences step by step, whether they come so or whole.
  template <class Element>
  Matrix<Element> by_steps(const Stage& stage, Matrix<Element> m, Rows* rows) const {
    if (m.columns == stage.units) return m;
    rows->first *= stage.steps;
    rows->count *= stage.steps;
    return {m.data, m.rows * stage.steps, stage.units, m.stride / stage.steps};
  }

  std::vector<Stage> stages_;
  std::vector<Blocks> blocks_;
  std::vector<std::size_t> first_block_;
  std::vector<Index> slice_part_;
  Index window_;
  std::vector<double> time_;
  Index capacity_ = 0, batch_ = 0, activation_parts_ = 0;
  Record* record_ = nullptr;
  Block<StatisticsPart<T>> parts_;
  std::vector<std::vector<double>> pieces_;  // by group: what `part` works in
  Block<double> norms_;                      // of dC/dy, by stage and piece
  std::vector<StepNorms> steps_;
  std::vector<RecordEntry> merged_;
  Block<std::uint32_t> counts_;  // by entry and exponent
};

}  // namespace gradwell

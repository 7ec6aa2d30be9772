// Writes the gradient record while the values are at hand. It reads; it never changes what it measures.
#pragma once

#include "gradwell/program.h"

namespace gradwell {

template <class T>
struct Pass;

template <class T>
class Recorder {
 public:
  // `window`: samples a unit must have been inactive for to be called dead.
  Recorder(const std::vector<StageInfo>& stages, std::size_t parameters, Index window);

  // Room for `steps` more records, so that none of them allocates (but for unusually wide histograms).
  void reserve(Record& record, std::size_t steps) const;
  void begin(Record& record, Index step);

  void activation(const Pass<T>& pass, int stage, Matrix<const T> y);
  void output_gradient(const Pass<T>& pass, int stage, Matrix<const T> dy);
  void error(const Pass<T>& pass, int stage, Matrix<const T> delta);
  void saturation(const Pass<T>& pass, int stage, Activation activation, Saved which, Matrix<const T> saved);
  void gradient(const Pass<T>& pass, std::size_t parameter, const T* values, Index count);
  void step(std::size_t parameter, StepNorms norms);
  // Undoes begin: the step was not carried out.
  void drop();

 private:
  void measure(const Pass<T>& pass, std::size_t entry, const T* values, Index count);
  std::size_t entries() const { return 2 * stages_ + parameters_; }
  StageEntry& stage_entry(int stage) { return record_->stages[record_->stages.size() - stages_ + stage]; }

  std::size_t stages_, parameters_;
  Index window_;
  Record* record_ = nullptr;
  // For `dead`: which units have been alive in this window, and how far the window has come.
  std::vector<std::vector<std::uint8_t>> alive_;
  std::vector<Index> seen_;
  std::vector<double> dead_;
  std::vector<std::uint64_t> histogram_;
};

}  // namespace gradwell

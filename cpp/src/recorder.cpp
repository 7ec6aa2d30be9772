#include "recorder.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "layers/layer.h"

namespace gradwell {
namespace {

constexpr double not_measured = std::numeric_limits<double>::quiet_NaN();
constexpr std::size_t usual_bins = 48;

}  // namespace

template <class T>
Recorder<T>::Recorder(const std::vector<StageInfo>& stages, std::size_t parameters, Index window)
    : stages_(stages.size()),
      parameters_(parameters),
      window_(window),
      seen_(stages.size(), 0),
      dead_(stages.size(), not_measured),
      histogram_(exponent_bins, 0) {
  for (const StageInfo& stage : stages) alive_.emplace_back(static_cast<std::size_t>(stage.outputs), 0);
}

template <class T>
void Recorder<T>::reserve(Record& record, std::size_t steps) const {
  record.steps.reserve(record.steps.size() + steps);
  record.entries.reserve(record.entries.size() + steps * entries());
  record.stages.reserve(record.stages.size() + steps * stages_);
  record.parameters.reserve(record.parameters.size() + steps * parameters_);
  record.counts.reserve(record.counts.size() + steps * entries() * usual_bins);
}

template <class T>
void Recorder<T>::begin(Record& record, Index step) {
  record_ = &record;
  record.steps.push_back(step);
  Statistics unknown = {};
  for (double* value : {&unknown.norm, &unknown.rms, &unknown.mean, &unknown.std, &unknown.min, &unknown.max,
                        &unknown.largest, &unknown.smallest})
    *value = not_measured;
  record.entries.resize(record.entries.size() + entries(), {unknown, 0, 0, 0});
  record.stages.resize(record.stages.size() + stages_, {not_measured, not_measured, not_measured});
  record.parameters.resize(record.parameters.size() + parameters_, {not_measured, not_measured});
}

template <class T>
void Recorder<T>::measure(const Pass<T>& pass, std::size_t entry, const T* values, Index count) {
  RecordEntry& to = record_->entries[record_->entries.size() - entries() + entry];
  to.statistics = pass.kernels.statistics.measure(pass.context, values, count, histogram_.data());
  to.offset = static_cast<Index>(record_->counts.size());
  if (!(to.statistics.largest > 0)) return;
  // Only the occupied range is kept and cleared.
  const int low = std::max(std::ilogb(to.statistics.smallest) + exponent_bias, 0);
  const int high = std::max(std::ilogb(to.statistics.largest) + exponent_bias, 0);
  to.low = low - exponent_bias;
  to.bins = high - low + 1;
  for (int bin = low; bin <= high; ++bin) {
    const std::uint64_t found = histogram_[static_cast<std::size_t>(bin)];
    record_->counts.push_back(static_cast<std::uint32_t>(std::min<std::uint64_t>(found, UINT32_MAX)));
  }
  std::fill(histogram_.begin() + low, histogram_.begin() + high + 1, std::uint64_t{0});
}

template <class T>
void Recorder<T>::activation(const Pass<T>& pass, int stage, Matrix<const T> y) {
  measure(pass, stages_ + static_cast<std::size_t>(stage), y.data, y.rows * y.columns);
}

template <class T>
void Recorder<T>::output_gradient(const Pass<T>& pass, int stage, Matrix<const T> dy) {
  stage_entry(stage).output_gradient = pass.kernels.statistics.norm(pass.context, dy.data, dy.rows * dy.columns);
}

template <class T>
void Recorder<T>::error(const Pass<T>& pass, int stage, Matrix<const T> delta) {
  measure(pass, static_cast<std::size_t>(stage), delta.data, delta.rows * delta.columns);
}

template <class T>
void Recorder<T>::saturation(const Pass<T>& pass, int stage, Activation activation, Saved which,
                             Matrix<const T> saved) {
  const auto s = static_cast<std::size_t>(stage);
  std::vector<std::uint8_t>& alive = alive_[s];
  const Index flat = pass.kernels.activation.saturation(pass.context, activation, which, saved, alive.data());
  StageEntry& entry = stage_entry(stage);
  entry.saturated = static_cast<double>(flat) / static_cast<double>(saved.rows * saved.columns);
  seen_[s] += saved.rows;
  if (seen_[s] >= window_) {
    const auto dead = std::count(alive.begin(), alive.end(), 0);
    dead_[s] = static_cast<double>(dead) / static_cast<double>(alive.size());
    seen_[s] = 0;
    std::fill(alive.begin(), alive.end(), std::uint8_t{0});
  }
  entry.dead = dead_[s];
}

template <class T>
void Recorder<T>::gradient(const Pass<T>& pass, std::size_t parameter, const T* values, Index count) {
  measure(pass, 2 * stages_ + parameter, values, count);
}

template <class T>
void Recorder<T>::step(std::size_t parameter, StepNorms norms) {
  record_->parameters[record_->parameters.size() - parameters_ + parameter] = {std::sqrt(norms.step),
                                                                               std::sqrt(norms.parameter)};
}

template <class T>
void Recorder<T>::drop() {
  record_->steps.pop_back();
  record_->entries.resize(record_->entries.size() - entries());
  record_->stages.resize(record_->stages.size() - stages_);
  record_->parameters.resize(record_->parameters.size() - parameters_);
}

template class Recorder<float>;
template class Recorder<double>;

}  // namespace gradwell

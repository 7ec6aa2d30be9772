// The record of steps that the device has left, on the host.
#include <algorithm>
#include <cmath>

#include "cuda/recorder.h"

namespace gradwell {
namespace cuda {

template <class T>
StageEntry CudaRecorder<T>::stage_entry(std::size_t s, const unsigned char* slot, double error_norm) {
  Stage& stage = stages_[s];
  const auto* const norms = reinterpret_cast<const double*>(slot + norms_at_) + 3 * s;
  // Where no activation is between dC/dy and the error, the two are one.
  StageEntry entry = {stage.has_norm[0] ? norms[0] : error_norm, not_measured, not_measured, not_measured,
                      not_measured};
  if (stage.joint) {
    entry.branch = stage.has_norm[1] ? norms[1] : not_measured;
    entry.skip = stage.has_norm[2] ? norms[2] : not_measured;
  }
  if (!stage.counted) return entry;
  const Index rows = *reinterpret_cast<const Index*>(slot + rows_at_) * stage.steps;
  const auto flat = reinterpret_cast<const unsigned long long*>(slot + flat_at_)[s];
  const unsigned char* const alive = slot + alive_at_ + stage.first_unit;
  for (std::size_t unit = 0; unit < stage.lived.size(); ++unit) stage.lived[unit] |= stage.linear || alive[unit];
  entry.saturated = static_cast<double>(flat) / static_cast<double>(rows * stage.units);
  stage.seen += rows;
  if (stage.seen >= window_) {
    const auto dead = std::count(stage.lived.begin(), stage.lived.end(), 0);
    stage.dead = static_cast<double>(dead) / static_cast<double>(stage.units);
    stage.seen = 0;
    std::fill(stage.lived.begin(), stage.lived.end(), std::uint8_t{0});
  }
  entry.dead = stage.dead;
  return entry;
}

template <class T>
void CudaRecorder<T>::append(Record& record, const unsigned char* slot, bool stepped) {
  const auto* const merged = reinterpret_cast<const MergedEntry<T>*>(slot);
  for (std::size_t e = 0; e < entries(); ++e) {
    const MergedEntry<T>& from = merged[e];
    record.entries.push_back({from.statistics, from.low, from.bins, static_cast<Index>(record.counts.size())});
    record.counts.insert(record.counts.end(), from.counts, from.counts + from.bins);
  }
  const auto* figure = reinterpret_cast<const double*>(slot + figures_at_);
  for (std::size_t s = 0; s < stages_.size(); ++s)
    for (std::size_t d = 0; d < stages_[s].first_figure.size(); ++d) {
      const Index count = stages_[s].figures;
      record.time.insert(record.time.end(), figure, figure + count);
      record.time.push_back(not_measured);  // a regulariser that no device has
      figure += count;
    }
  for (std::size_t s = 0; s < stages_.size(); ++s)
    record.stages.push_back(stage_entry(s, slot, merged[s].statistics.norm));
  const auto* const norms = reinterpret_cast<const StepNorms*>(slot + steps_at_);
  for (std::size_t k = 0; k < slices_.size(); ++k)
    record.parameters.push_back(stepped ? ParameterEntry{std::sqrt(norms[k].step), std::sqrt(norms[k].parameter)}
                                        : ParameterEntry{not_measured, not_measured});
}

template <class T>
void CudaRecorder<T>::finish(Queue& queue, Record& record, Index count, bool stepped) {
  const Index bytes = count * slot_bytes_;
  if (fetched_.size() < bytes) fetched_ = PinnedBlock<unsigned char>(bytes);
  copy(queue, fetched_.data(), static_cast<const unsigned char*>(results_.data()), bytes);
  start_over(queue);
  queue.wait();
  for (Index k = 0; k < count; ++k) append(record, fetched_.data() + k * slot_bytes_, k + 1 < count || stepped);
}

#define GRADWELL_INSTANTIATE(T)                                                                \
  template StageEntry CudaRecorder<T>::stage_entry(std::size_t, const unsigned char*, double); \
  template void CudaRecorder<T>::append(Record&, const unsigned char*, bool);                  \
  template void CudaRecorder<T>::finish(Queue&, Record&, Index, bool);
GRADWELL_INSTANTIATE(float)
GRADWELL_INSTANTIATE(double)

}  // namespace cuda
}  // namespace gradwell

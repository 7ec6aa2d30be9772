#include "recorder.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/team.h"
#include "layers/layer.h"

namespace gradwell {
namespace {

constexpr double not_measured = std::numeric_limits<double>::quiet_NaN();
constexpr std::size_t usual_bins = 48;

Index groups_of(Index rows) {
  return (rows + part_rows - 1) / part_rows;
}
// Room for whole vectors.
Index padded(Index units) {
  return (units + 15) / 16 * 16;
}

// The norm of what has these norms piece by piece, without squaring what is too large or too small for it.
double norm_of(const double* norms, Index count) {
  const double most = count > 0 ? *std::max_element(norms, norms + count) : 0;
  if (most == 0) return 0;
  double squares = 0;
  for (Index k = 0; k < count; ++k) squares += norms[k] / most * (norms[k] / most);
  return most * std::sqrt(squares);
}

}  // namespace

template <class T>
Recorder<T>::Recorder(const std::vector<StageInfo>& stages, std::vector<Blocks> blocks, Index window)
    : stages_(stages.size()), blocks_(std::move(blocks)), window_(window), merged_(entries()) {
  for (std::size_t s = 0; s < stages.size(); ++s) {
    stages_[s].steps = stages[s].steps;
    stages_[s].units = stages[s].outputs / stages[s].steps;
    stages_[s].dead = not_measured;
    stages_[s].joint = stages[s].kind.rfind("residual", 0) == 0;
    stages_[s].lived = Block<std::uint8_t>(stages_[s].units);
  }
  std::size_t first = 0;
  for (const Blocks& slice : blocks_) {
    first_block_.push_back(first);
    first += static_cast<std::size_t>(slice.count);
  }
  steps_.resize(first);
  counts_ = Block<std::uint32_t>(static_cast<Index>(entries()) * ExponentRange<T>::count);
}

template <class T>
void Recorder<T>::prepare(Index batch) {
  if (batch <= capacity_) return;
  Index parts = 0;
  for (Stage& stage : stages_) {
    const Index rows = batch * stage.steps;
    stage.cut = pieces_of(rows, stage.units);
    stage.first_part = parts;
    parts += stage.cut.count;
    stage.alive = Block<typename SameSize<T>::Integer>(groups_of(rows) * padded(stage.units));
    stage.flat = Block<Index>(groups_of(rows));
    for (auto& part : stage.parts)
      if (stage.joint) part = Block<double>(groups_of(batch));
  }
  activation_parts_ = parts;
  parts *= 2;  // errors are cut as activations are
  slice_part_.clear();
  for (const Blocks& slice : blocks_) {
    slice_part_.push_back(parts);
    parts += slice.count * pieces_of(1, slice.numbers).count;
  }
  parts_ = Block<StatisticsPart<T>>(parts);
  norms_ = Block<double>(activation_parts_);
  pieces_.resize(static_cast<std::size_t>(groups_of(batch)));
  capacity_ = batch;
}

template <class T>
void Recorder<T>::reserve(Record& record, std::size_t steps) const {
  record.steps.reserve(record.steps.size() + steps);
  record.entries.reserve(record.entries.size() + steps * entries());
  record.stages.reserve(record.stages.size() + steps * stages_.size());
  record.parameters.reserve(record.parameters.size() + steps * blocks_.size());
  record.counts.reserve(record.counts.size() + steps * entries() * usual_bins);
}

template <class T>
void Recorder<T>::begin(Record& record, Index step, Index batch) {
  prepare(batch);
  record_ = &record;
  batch_ = batch;
  time_.clear();
  record.steps.push_back(step);
  for (Stage& stage : stages_) {
    stage.flat.data()[0] = -1;
    norms_.data()[stage.first_part] = -1;
    for (auto& part : stage.parts)
      if (stage.joint) part.data()[0] = -1;
  }
}

template <class T>
void Recorder<T>::part(const Pass<T>& pass, int stage, bool skip, Rows rows, Matrix<const T> values) {
  double* const norms = stages_[static_cast<std::size_t>(stage)].parts[skip].data() + rows.first / part_rows;
  std::vector<double>& pieces = pieces_[static_cast<std::size_t>(rows.first / part_rows)];
  for (Index group = 0; group < groups_of(rows.count); ++group) {
    const Rows some = {group * part_rows, std::min(part_rows, rows.count - group * part_rows)};
    const Matrix<const T> m = rows_of(values, some);
    const Index count = pieces_of(m.rows, m.columns).count;
    if (static_cast<Index>(pieces.size()) < count) pieces.resize(static_cast<std::size_t>(count));
    pass.kernels.statistics.norms(pass.context, m, pieces.data());
    norms[group] = norm_of(pieces.data(), count);
  }
}

template <class T>
void Recorder<T>::activation(const Pass<T>& pass, int stage, Rows rows, Matrix<const T> y) {
  const Stage& s = stages_[static_cast<std::size_t>(stage)];
  y = by_steps(s, y, &rows);
  pass.kernels.statistics.measure_parts(pass.context, y, parts_.data() + s.first_part + piece_of(s, rows));
}

template <class T>
void Recorder<T>::error(const Pass<T>& pass, int stage, Rows rows, Matrix<const T> delta) {
  const Stage& s = stages_[static_cast<std::size_t>(stage)];
  delta = by_steps(s, delta, &rows);
  StatisticsPart<T>* const parts = parts_.data() + activation_parts_ + s.first_part;
  pass.kernels.statistics.measure_parts(pass.context, delta, parts + piece_of(s, rows));
}

template <class T>
void Recorder<T>::output_gradient(const Pass<T>& pass, int stage, Rows rows, Matrix<const T> dy) {
  const Stage& s = stages_[static_cast<std::size_t>(stage)];
  dy = by_steps(s, dy, &rows);
  pass.kernels.statistics.norms(pass.context, dy, norms_.data() + s.first_part + piece_of(s, rows));
}

template <class T>
void Recorder<T>::saturation(const Pass<T>& pass, int stage, Rows rows, Derivative<T> of) {
  const Stage& s = stages_[static_cast<std::size_t>(stage)];
  of.saved = by_steps(s, of.saved, &rows);
  const Index first = rows.first / part_rows, width = padded(s.units);
  for (Index group = 0; group < groups_of(rows.count); ++group) {
    auto* const alive = s.alive.data() + (first + group) * width;
    std::fill(alive, alive + width, 0);
    const Index row = group * part_rows;
    Derivative<T> part = of;
    part.saved = rows_of(of.saved, {row, std::min(part_rows, rows.count - row)});
    s.flat.data()[first + group] = pass.kernels.activation.saturation(pass.context, part, alive);
  }
}

template <class T>
void Recorder<T>::gradient(const Pass<T>& pass, std::size_t slice, Index block, Matrix<const T> values) {
  const Index pieces = pieces_of(1, blocks_[slice].numbers).count;
  pass.kernels.statistics.measure_parts(pass.context, values, parts_.data() + slice_part_[slice] + block * pieces);
}

// Where an entry's parts of this step begin. The last block of a slice may be smaller than the others.
template <class T>
Index Recorder<T>::parts_at(std::size_t entry, Index* count) const {
  const std::size_t stages = stages_.size();
  if (entry < 2 * stages) {
    const Stage& stage = stages_[entry % stages];
    *count = pieces_of(batch_ * stage.steps, stage.units).count;
    return (entry < stages ? activation_parts_ : 0) + stage.first_part;
  }
  const std::size_t slice = entry - 2 * stages;
  *count = (slice + 1 < blocks_.size() ? slice_part_[slice + 1] : parts_.size()) - slice_part_[slice];
  return slice_part_[slice];
}

// Only the occupied exponents are cleared, added up and kept.
template <class T>
void Recorder<T>::merge(std::size_t entry) {
  Index count = 0;
  const StatisticsPart<T>* const parts = parts_.data() + parts_at(entry, &count);
  int low = exponent_bins, high = -1;
  for (Index k = 0; k < count; ++k) {
    if (parts[k].high < parts[k].low) continue;
    low = std::min(low, parts[k].low + ExponentRange<T>::lowest);
    high = std::max(high, parts[k].high + ExponentRange<T>::lowest);
  }
  std::uint64_t histogram[exponent_bins];
  std::fill(histogram + std::min(low, high + 1), histogram + high + 1, std::uint64_t{0});
  RecordEntry& to = merged_[entry];
  to.statistics = kernels<T>().statistics.merge(parts, count, histogram);
  to.low = low - exponent_bias;
  to.bins = std::max(0, high - low + 1);
  std::uint32_t* const counts = counts_.data() + static_cast<Index>(entry) * ExponentRange<T>::count;
  for (int bin = 0; bin < to.bins; ++bin)
    counts[bin] = static_cast<std::uint32_t>(std::min<std::uint64_t>(histogram[low + bin], UINT32_MAX));
}

template <class T>
StageEntry Recorder<T>::finish_stage(Stage& stage, const Statistics& error) {
  const double* const norms = norms_.data() + stage.first_part;
  // Where no activation is between dC/dy and the error, the two are one.
  const Index rows = batch_ * stage.steps;
  const double output_gradient = norms[0] < 0 ? error.norm : norm_of(norms, pieces_of(rows, stage.units).count);
  StageEntry entry = {output_gradient, not_measured, not_measured, not_measured, not_measured};
  if (stage.joint) {
    const auto whole = [&](const Block<double>& part) {
      return part.data()[0] < 0 ? not_measured : norm_of(part.data(), groups_of(batch_));
    };
    entry.branch = whole(stage.parts[0]);
    entry.skip = whole(stage.parts[1]);
  }
  if (stage.flat.data()[0] < 0) return entry;
  Index flat = 0;
  const Index width = padded(stage.units);
  for (Index group = 0; group < groups_of(rows); ++group) {
    flat += stage.flat.data()[group];
    const auto* const alive = stage.alive.data() + group * width;
    for (Index unit = 0; unit < stage.units; ++unit) stage.lived.data()[unit] |= alive[unit] != 0;
  }
  entry.saturated = static_cast<double>(flat) / static_cast<double>(rows * stage.units);
  stage.seen += rows;
  if (stage.seen >= window_) {
    std::uint8_t* const lived = stage.lived.data();
    const auto dead = std::count(lived, lived + stage.units, 0);
    stage.dead = static_cast<double>(dead) / static_cast<double>(stage.units);
    stage.seen = 0;
    std::fill(lived, lived + stage.units, std::uint8_t{0});
  }
  entry.dead = stage.dead;
  return entry;
}

template <class T>
void Recorder<T>::finish(Context context, bool stepped) {
  for_each_task(context, static_cast<Index>(entries()), [&](Index e) { merge(static_cast<std::size_t>(e)); });
  for (std::size_t e = 0; e < entries(); ++e) {
    RecordEntry& entry = merged_[e];
    const std::uint32_t* const counts = counts_.data() + static_cast<Index>(e) * ExponentRange<T>::count;
    entry.offset = static_cast<Index>(record_->counts.size());
    if (entry.bins == 0) entry.low = 0;
    record_->counts.insert(record_->counts.end(), counts, counts + entry.bins);
    record_->entries.push_back(entry);
  }
  record_->time.insert(record_->time.end(), time_.begin(), time_.end());
  for (std::size_t s = 0; s < stages_.size(); ++s)
    record_->stages.push_back(finish_stage(stages_[s], merged_[s].statistics));
  for (std::size_t slice = 0; slice < blocks_.size(); ++slice) {
    StepNorms norms = {0, 0};
    for (Index block = 0; block < blocks_[slice].count; ++block) {
      norms.step += steps_[first_block_[slice] + static_cast<std::size_t>(block)].step;
      norms.parameter += steps_[first_block_[slice] + static_cast<std::size_t>(block)].parameter;
    }
    record_->parameters.push_back(stepped ? ParameterEntry{std::sqrt(norms.step), std::sqrt(norms.parameter)}
                                          : ParameterEntry{not_measured, not_measured});
  }
}

template class Recorder<float>;
template class Recorder<double>;

}  // namespace gradwell

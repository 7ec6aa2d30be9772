#include "cuda/recorder.h"

#include <algorithm>
#include <type_traits>

namespace gradwell {
namespace cuda {
namespace {

constexpr int collect_threads = 256;

// Joins norms over the batch, sequence by sequence, without squaring what is too large or too small for it.
__device__ double joint_norm(const double* norms, Index count) {
  const Index lane = threadIdx.x % 32;
  double most = 0, squares = 0;
  for (Index k = lane; k < count; k += 32) most = greater(most, norms[k]);
  most = join_warp(most, Greater{});
  const double scale = most > 0 ? most : 1;
  for (Index k = lane; k < count; k += 32) squares += norms[k] / scale * (norms[k] / scale);
  return scale * root(join_warp(squares, Plus{}));
}

// A warp a figure.
__global__ void join_time(const double* norms, Index figures, Index rows, double* to) {
  const Index figure = (static_cast<Index>(blockIdx.x) * collect_threads + threadIdx.x) / 32;
  if (figure >= figures) return;
  const double norm = joint_norm(norms + figure * rows, rows);
  if (threadIdx.x % 32 == 0) to[figure] = norm;
}

// What has been gathered on the way goes to the step's slot, and begins anew.
struct Gathered {
  Index stages, units, figures, rows;
  unsigned long long *flat, *flat_to;
  const double* figures_from;
  double* figures_to;
  unsigned char* alive_to;
  Index* rows_to;
  Slots slots;
};

template <class Integer>
__global__ void collect(Gathered g, Integer* alive) {
  const Index thread = static_cast<Index>(blockIdx.x) * collect_threads + threadIdx.x;
  if (thread < g.units) {
    in_slot(g.alive_to, g.slots)[thread] = alive[thread] != 0;
    alive[thread] = 0;
  }
  if (thread < g.stages) {
    in_slot(g.flat_to, g.slots)[thread] = g.flat[thread];
    g.flat[thread] = 0;
  }
  if (thread == 0) *in_slot(g.rows_to, g.slots) = g.rows;
  if (thread < g.figures) in_slot(g.figures_to, g.slots)[thread] = g.figures_from[thread];
}

__global__ void keep_steps(Index slices, const StepNorms* norms, StepNorms* to, Slots slots) {
  const Index k = static_cast<Index>(blockIdx.x) * collect_threads + threadIdx.x;
  if (k < slices) in_slot(to, slots)[k] = norms[k];
}

template <class T>
bool same(const RecordedArrays<T>& a, const RecordedArrays<T>& b) {
  const auto alike = [](const Matrix<const T>& x, const Matrix<const T>& y) {
    return x.data == y.data && x.rows == y.rows && x.columns == y.columns && x.stride == y.stride;
  };
  return a.gradients == b.gradients && std::equal(a.stages.begin(), a.stages.end(), b.stages.begin(), b.stages.end(),
                                                  [&](const RecordedStage<T>& x, const RecordedStage<T>& y) {
                                                    return alike(x.output, y.output) && alike(x.error, y.error) &&
                                                           x.passes == y.passes;
                                                  });
}

template <class V>
DeviceBlock<V> on_device(Queue& queue, const std::vector<V>& values) {
  DeviceBlock<V> block(queue, static_cast<Index>(values.size()));
  copy(queue, block.data(), values.data(), block.size());
  return block;
}

}  // namespace

template <class T>
CudaRecorder<T>::CudaRecorder(Queue& queue, const NetworkPlan& plan, Index window)
    : stages_(plan.stages.size()), slices_(plan.slices), window_(window), flush_(plan.flush_denormals) {
  for (std::size_t s = 0; s < stages_.size(); ++s) {
    const StagePlan& from = plan.stages[s];
    Stage& stage = stages_[s];
    const Index sequence = from.sequences ? from.time_steps : 1;  // what a recurrent layer sees as one row
    stage.units = from.outputs / sequence;
    stage.steps = from.steps * sequence;
    stage.first_unit = units_;
    stage.joint = from.kind == StageKind::joint;
    stage.lived.resize(static_cast<std::size_t>(stage.units));
    units_ += stage.units;
    stage.figures = time_quantities(from.cell) * from.time_steps;
    for (std::size_t d = 0; d < from.directions.size(); ++d) {
      stage.first_figure.push_back(figures_);
      figures_ += stage.figures;
    }
  }
  const auto place = [&](Index bytes) {
    const Index at = slot_bytes_;
    slot_bytes_ += ceiling(bytes, 16) * 16;
    return at;
  };
  const auto numbers = [](Index count) { return count * static_cast<Index>(sizeof(double)); };
  place(static_cast<Index>(entries() * sizeof(MergedEntry<T>)));
  norms_at_ = place(numbers(3 * stage_count()));
  steps_at_ = place(static_cast<Index>(slices_.size() * sizeof(StepNorms)));
  figures_at_ = place(numbers(figures_));
  flat_at_ = place(numbers(stage_count()));
  rows_at_ = place(numbers(1));
  alive_at_ = place(units_);
  sums_ = DeviceBlock<double>(queue, 3 * stage_count() * norm_numbers<T>);
  flat_ = DeviceBlock<unsigned long long>(queue, stage_count());
  figures_made_ = DeviceBlock<double>(queue, figures_);
  alive_ = DeviceBlock<typename SameSize<T>::Integer>(queue, units_);
  slot_ = DeviceBlock<Index>(queue, 1);
  start_over(queue);
}

template <class T>
void CudaRecorder<T>::start_over(Queue& queue) {
  check_cuda(cudaMemsetAsync(slot_.data(), 0xff, sizeof(Index), queue.stream()), "cudaMemsetAsync");  // -1
}

// Entries in the order of the record: errors and activations by stage, gradients by slice.
template <class T>
void CudaRecorder<T>::make_tables(Queue& queue, Tables& to, const RecordedArrays<T>& arrays) const {
  std::vector<MeasureTask<T>> tasks;
  std::vector<MergeTask> merges;
  std::vector<PieceOf> pieces;
  to.arrays = arrays;
  to.parts = 0;
  const auto add = [&](const T* data, Index size) {
    const Index count = pieces_of(size > 0 ? 1 : 0, size).count;
    tasks.push_back({data, size, 1, size, to.parts});
    merges.push_back({to.parts, count});
    to.parts += count;
  };
  for (const auto& stage : arrays.stages) add(stage.error.data, stage.error.rows * stage.error.columns);
  for (const auto& stage : arrays.stages) add(stage.output.data, stage.output.rows * stage.output.columns);
  for (const Slice& slice : slices_) add(arrays.gradients + slice.offset, slice.size());
  const auto list = [&](std::size_t entry) {
    for (Index k = 0; k < merges[entry].count; ++k) pieces.push_back({static_cast<int>(entry), k});
  };
  const auto passes = [&](std::size_t entry) { return entry < stages_.size() && arrays.stages[entry].passes; };
  for (std::size_t entry = 0; entry < entries(); ++entry)
    if (!passes(entry)) list(entry);
  to.together = static_cast<Index>(pieces.size());
  to.first_piece.assign(stages_.size(), 0);
  to.own.assign(stages_.size(), 0);
  for (std::size_t s = 0; s < stages_.size(); ++s) {
    if (!passes(s)) continue;
    to.first_piece[s] = static_cast<Index>(pieces.size());
    to.own[s] = merges[s].count;
    list(s);
  }
  queue.wait();  // what reads the old ones
  to.tasks = on_device(queue, tasks);
  to.merges = on_device(queue, merges);
  to.pieces = on_device(queue, pieces);
  queue.wait();
}

template <class T>
bool CudaRecorder<T>::prepare(Queue& queue, const RecordedArrays<T>& arrays, Index rows, Index slots) {
  saturations_.clear();
  const auto found = tables_.find(rows);
  bool moved = false;
  Tables& tables = tables_[rows];
  if (found == tables_.end() || !same(tables.arrays, arrays)) {
    moved = found != tables_.end();
    make_tables(queue, tables, arrays);
  }
  current_ = &tables;
  rows_ = rows;
  const auto grow = [&](auto& block, Index count) {
    if (block.data() && block.size() >= count) return;
    queue.wait();
    block = std::decay_t<decltype(block)>(queue, count);
    moved = true;
  };
  grow(parts_, current_->parts);
  grow(results_, slots * slot_bytes_);
  if (slots > slots_of_) slots_of_ = slots;
  return moved;
}

template <class T>
void CudaRecorder<T>::saturation(Queue&, int stage, Derivative<T> of) {
  Stage& s = stages_[static_cast<std::size_t>(stage)];
  s.counted = true;
  s.linear = of.activation.kind == ActivationKind::identity;
  if (of.saved.columns != s.units) of.saved = {of.saved.data, of.saved.rows * s.steps, s.units, s.units};
  if (!s.linear) saturations_.push_back({of, flat_.data() + stage, alive_.data() + s.first_unit});
}

template <class T>
void CudaRecorder<T>::take_norm(Queue& queue, int stage, int which, Matrix<const T> values) {
  stages_[static_cast<std::size_t>(stage)].has_norm[which] = true;
  square_matrix(queue, values, flush_, sums_of(stage, which));
}

template <class T>
void CudaRecorder<T>::output_gradient(Queue& queue, int stage, Matrix<const T> dy) {
  take_norm(queue, stage, 0, dy);
}

template <class T>
void CudaRecorder<T>::part(Queue& queue, int joint, bool skip, Matrix<const T> values) {
  take_norm(queue, joint, skip ? 2 : 1, values);
}

template <class T>
void CudaRecorder<T>::error(Queue& queue, int stage) {
  const auto s = static_cast<std::size_t>(stage);
  measure_all<T>(queue, current_->tasks.data(), current_->pieces.data() + current_->first_piece[s], current_->own[s],
                 flush_, parts_.data());
}

template <class T>
void CudaRecorder<T>::time(Queue& queue, int stage, int direction, const double* norms) {
  const Stage& s = stages_[static_cast<std::size_t>(stage)];
  double* const to = figures_made_.data() + s.first_figure[static_cast<std::size_t>(direction)];
  launch("record_time", queue, {ceiling(32 * s.figures, collect_threads), collect_threads}, join_time, norms, s.figures,
         rows_, to);
}

template <class T>
void CudaRecorder<T>::measure(Queue& queue) {
  activation_saturations(queue, saturations_.data(), static_cast<int>(saturations_.size()));
  saturations_.clear();
  measure_all<T>(queue, current_->tasks.data(), current_->pieces.data(), current_->together, flush_, parts_.data(),
                 slot_.data());
  merge_all(queue, static_cast<const StatisticsPart<T>*>(parts_.data()), current_->merges.data(),
            static_cast<Index>(entries()), slot_at<MergedEntry<T>>(0), slots());
  finish_norms<T>(queue, sums_.data(), 3 * stage_count(), slot_at<double>(norms_at_), slots());
  const Gathered gathered = {stage_count(),
                             units_,
                             figures_,
                             rows_,
                             flat_.data(),
                             slot_at<unsigned long long>(flat_at_),
                             figures_made_.data(),
                             slot_at<double>(figures_at_),
                             slot_at<unsigned char>(alive_at_),
                             slot_at<Index>(rows_at_),
                             slots()};
  const Index threads = std::max({units_, figures_, stage_count()});
  launch("record", queue, {ceiling(threads, collect_threads), collect_threads}, collect<typename SameSize<T>::Integer>,
         gathered, alive_.data());
}

template <class T>
void CudaRecorder<T>::steps(Queue& queue, const StepNorms* norms) {
  const auto count = static_cast<Index>(slices_.size());
  launch("record_steps", queue, {ceiling(count, collect_threads), collect_threads}, keep_steps, count, norms,
         slot_at<StepNorms>(steps_at_), slots());
}

template class CudaRecorder<float>;
template class CudaRecorder<double>;

}  // namespace cuda
}  // namespace gradwell

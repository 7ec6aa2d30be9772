#include "cuda/samples.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <type_traits>

#include "cuda/gathering.h"

namespace gradwell {
namespace cuda {
namespace {

template <class T>
void copy_row(T* to, const T* from, Index count) {
  std::memcpy(to, from, static_cast<std::size_t>(count) * sizeof(T));
}

}  // namespace

template <class T>
void SampleBlock<T>::reserve(Queue& queue, SampleShape shape, const Samples<T>& like, Index rows) {
  const bool classes = like.targets.classes != nullptr, lengths = like.lengths != nullptr;
  const bool same = shape.inputs == shape_.inputs && shape.outputs == shape_.outputs && classes == has_classes_ &&
                    lengths == has_lengths_ && rows <= capacity_;
  if (same) return;
  capacity_ = 0;
  shape_ = shape;
  has_classes_ = classes;
  has_lengths_ = lengths;
  x_ = {};
  values_ = {};
  x_ = DeviceBlock<T>(queue, rows * shape.inputs);
  if (classes) {
    classes_ = DeviceBlock<Index>(queue, rows * shape.output_steps);
  } else if (like.targets.values.data) {
    values_ = DeviceBlock<T>(queue, rows * shape.outputs);
  }
  if (lengths) lengths_ = DeviceBlock<Index>(queue, rows);
  capacity_ = rows;
}

// Rows that lie together go as they lie; others are gathered in pinned memory first.
template <class T>
void SampleBlock<T>::fill(Queue& queue, const Samples<T>& from, const Index* order, Index count) {
  const Matrix<T> x = {x_.data(), count, shape_.inputs, shape_.inputs};
  const Matrix<T> values = {values_.data(), count, shape_.outputs, shape_.outputs};
  if (!order) {
    copy(queue, x, Matrix<const T>{from.x.data, count, from.x.columns, from.x.stride});
    if (has_classes_) copy(queue, classes_.data(), from.targets.classes, count * shape_.output_steps);
    const Matrix<const T>& v = from.targets.values;
    if (values_.data() && v.data) copy(queue, values, Matrix<const T>{v.data, count, v.columns, v.stride});
    if (has_lengths_) copy(queue, lengths_.data(), from.lengths, count);
    return;
  }
  queue.wait();  // the last copies from here
  const auto room_for = [](auto& block, Index numbers) {
    if (block.size() < numbers) block = std::remove_reference_t<decltype(block)>(numbers);
  };
  room_for(staged_x_, count * shape_.inputs);
  room_for(staged_values_, has_classes_ ? 0 : count * shape_.outputs);
  room_for(staged_classes_, has_classes_ ? count * shape_.output_steps : 0);
  room_for(staged_lengths_, has_lengths_ ? count : 0);
  for (Index i = 0; i < count; ++i) {
    const Index row = order[i];
    copy_row(staged_x_.data() + i * shape_.inputs, from.x.data + row * from.x.stride, shape_.inputs);
    if (has_classes_) {
      copy_row(staged_classes_.data() + i * shape_.output_steps, from.targets.classes + row * shape_.output_steps,
               shape_.output_steps);
    } else {
      copy_row(staged_values_.data() + i * shape_.outputs, from.targets.values.data + row * from.targets.values.stride,
               shape_.outputs);
    }
    if (has_lengths_) staged_lengths_[i] = from.lengths[row];
  }
  copy(queue, x_.data(), static_cast<const T*>(staged_x_.data()), count * shape_.inputs);
  if (has_classes_) {
    copy(queue, classes_.data(), static_cast<const Index*>(staged_classes_.data()), count * shape_.output_steps);
  } else {
    copy(queue, values_.data(), static_cast<const T*>(staged_values_.data()), count * shape_.outputs);
  }
  if (has_lengths_) copy(queue, lengths_.data(), static_cast<const Index*>(staged_lengths_.data()), count);
}

template <class T>
Samples<T> SampleBlock<T>::view() const {
  Samples<T> view;
  view.x = {x_.data(), capacity_, shape_.inputs, shape_.inputs};
  view.targets = {has_classes_ ? classes_.data() : nullptr,
                  {has_classes_ ? nullptr : values_.data(), capacity_, shape_.outputs, shape_.outputs}};
  view.lengths = has_lengths_ ? lengths_.data() : nullptr;
  return view;
}

template <class T>
void HeldSamples<T>::hold(Queue& queue, SampleShape shape, const Samples<T>& samples) {
  release();
  try {
    block_.reserve(queue, shape, samples, samples.x.rows);
  } catch (const std::bad_alloc&) {
    block_ = SampleBlock<T>();
    return;
  }
  block_.fill(queue, samples, nullptr, samples.x.rows);
  queue.wait();
  held_from_ = samples.x.data;
  held_rows_ = samples.x.rows;
}

template <class T>
void HeldSamples<T>::begin(Queue& queue, SampleShape shape, const Samples<T>& samples, const Index* order,
                           Index count) {
  if (order_.size() < count) order_ = DeviceBlock<Index>(queue, count);
  const bool held = held_from_ && held_from_ == samples.x.data && held_rows_ == samples.x.rows;
  if (held) {
    copy(queue, order_.data(), order, count);
  } else {
    held_from_ = nullptr;  // what was held gives way
    block_.reserve(queue, shape, samples, count);
    block_.fill(queue, samples, order, count);
    numbers_.resize(static_cast<std::size_t>(count));
    for (Index i = 0; i < count; ++i) numbers_[static_cast<std::size_t>(i)] = i;
    copy(queue, order_.data(), static_cast<const Index*>(numbers_.data()), count);
  }
  samples_ = block_.view();
}

template <class T>
void BatchMemory<T>::reserve(Queue& queue, SampleShape shape, Index rows) {
  shape_ = shape;
  x_ = DeviceBlock<T>(queue, rows * shape.inputs);
  values_ = DeviceBlock<T>(queue, rows * shape.outputs);
  classes_ = DeviceBlock<Index>(queue, rows * shape.output_steps);
  lengths_ = DeviceBlock<Index>(queue, rows);
  whole_ = DeviceBlock<Index>(queue, 1);
}

template <class T>
BatchOfSamples<T> BatchMemory<T>::gather(Queue& queue, const Samples<T>& samples, const Index* order,
                                         const RunState* state, Index batch, Index rows, bool counts_steps) {
  BatchOfSamples<T> to;
  const Matrix<T> x = input(rows);
  gather_rows(queue, samples.x, order, state, batch, x);
  to.x = {x.data, x.rows, x.columns, x.stride};
  if (samples.targets.classes) {
    gather_numbers(queue, samples.targets.classes, shape_.output_steps, order, state, batch, rows, classes_.data());
    to.targets = {classes_.data(), {nullptr, 0, 0, 0}};
  } else {
    const Matrix<T> values = {values_.data(), rows, shape_.outputs, shape_.outputs};
    gather_rows(queue, samples.targets.values, order, state, batch, values);
    to.targets = {nullptr, {values.data, rows, values.columns, values.stride}};
  }
  if (samples.lengths) {
    gather_numbers(queue, samples.lengths, 1, order, state, batch, rows, lengths_.data());
    to.lengths = lengths_.data();
    if (counts_steps) {
      sum_numbers(queue, lengths_.data(), rows, whole_.data());
      to.whole = whole_.data();
    }
  }
  return to;
}

template <class T>
BatchOfSamples<T> BatchMemory<T>::take(Queue& queue, const Samples<T>& samples, Index first, Index rows,
                                       bool counts_steps) {
  BatchOfSamples<T> to;
  const auto some = [&](Matrix<const T> m) {
    return Matrix<const T>{m.data + first * m.stride, rows, m.columns, m.stride};
  };
  copy(queue, input(rows), some(samples.x));
  to.x = {x_.data(), rows, shape_.inputs, shape_.inputs};
  if (samples.targets.classes) {
    copy(queue, classes_.data(), samples.targets.classes + first * shape_.output_steps, rows * shape_.output_steps);
    to.targets = {classes_.data(), {nullptr, 0, 0, 0}};
  } else if (samples.targets.values.data) {
    const Matrix<T> values = {values_.data(), rows, shape_.outputs, shape_.outputs};
    copy(queue, values, some(samples.targets.values));
    to.targets = {nullptr, {values.data, rows, values.columns, values.stride}};
  }
  if (samples.lengths) {
    copy(queue, lengths_.data(), samples.lengths + first, rows);
    to.lengths = lengths_.data();
    if (counts_steps) {
      sum_numbers(queue, lengths_.data(), rows, whole_.data());
      to.whole = whole_.data();
    }
  }
  return to;
}

#define GRADWELL_INSTANTIATE(T)  \
  template class SampleBlock<T>; \
  template class HeldSamples<T>; \
  template class BatchMemory<T>;
GRADWELL_INSTANTIATE(float)
GRADWELL_INSTANTIATE(double)

}  // namespace cuda
}  // namespace gradwell

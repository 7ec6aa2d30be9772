// Memory of the device, and of the host where the device reaches it fast. Freed by itself. Private to cpp/src/cuda.
#pragma once

#include <utility>

#include "cuda/queue.h"

namespace gradwell {
namespace cuda {

// `count` numbers on the device; zeros once the queue has come so far.
template <class T>
class DeviceBlock {
 public:
  DeviceBlock() = default;
  DeviceBlock(Queue& queue, Index count) : size_(count) {
    const std::size_t bytes = static_cast<std::size_t>(count > 0 ? count : 1) * sizeof(T);
    void* memory = nullptr;
    check_cuda(cudaMalloc(&memory, bytes), "cudaMalloc");
    data_ = static_cast<T*>(memory);
    check_cuda(cudaMemsetAsync(memory, 0, bytes, queue.stream()), "cudaMemsetAsync");
  }
  ~DeviceBlock() { cudaFree(data_); }
  DeviceBlock(DeviceBlock&& other) noexcept { swap(other); }
  DeviceBlock& operator=(DeviceBlock&& other) noexcept {
    swap(other);
    return *this;
  }
  T* data() const { return data_; }
  Index size() const { return size_; }

 private:
  void swap(DeviceBlock& other) {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
  }
  T* data_ = nullptr;
  Index size_ = 0;
};

// Pinned memory of the host: what is copied from or to it does not hold the host up.
template <class T>
class PinnedBlock {
 public:
  PinnedBlock() = default;
  explicit PinnedBlock(Index count) : size_(count) {
    void* memory = nullptr;
    const std::size_t bytes = static_cast<std::size_t>(count > 0 ? count : 1) * sizeof(T);
    check_cuda(cudaHostAlloc(&memory, bytes, cudaHostAllocDefault), "cudaHostAlloc");
    data_ = static_cast<T*>(memory);
  }
  ~PinnedBlock() { cudaFreeHost(data_); }
  PinnedBlock(PinnedBlock&& other) noexcept { swap(other); }
  PinnedBlock& operator=(PinnedBlock&& other) noexcept {
    swap(other);
    return *this;
  }
  T* data() const { return data_; }
  T& operator[](Index i) const { return data_[i]; }
  Index size() const { return size_; }

 private:
  void swap(PinnedBlock& other) {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
  }
  T* data_ = nullptr;
  Index size_ = 0;
};

template <class T>
void copy(Queue& queue, T* to, const T* from, Index count) {
  if (count <= 0) return;
  check_cuda(cudaMemcpyAsync(to, from, static_cast<std::size_t>(count) * sizeof(T), cudaMemcpyDefault, queue.stream()),
             "cudaMemcpyAsync");
}

// Rows of a matrix, wherever the two lie.
template <class T>
void copy(Queue& queue, Matrix<T> to, Matrix<const T> from) {
  if (from.rows <= 0 || from.columns <= 0) return;
  const auto bytes = [](Index numbers) { return static_cast<std::size_t>(numbers) * sizeof(T); };
  const Index to_pitch = to.rows > 1 ? to.stride : to.columns, from_pitch = from.rows > 1 ? from.stride : from.columns;
  if (to_pitch == to.columns && from_pitch == from.columns) {
    return copy(queue, to.data, from.data, from.rows * from.columns);
  }
  if (to_pitch >= to.columns && from_pitch >= from.columns) {
    check_cuda(cudaMemcpy2DAsync(to.data, bytes(to_pitch), from.data, bytes(from_pitch), bytes(from.columns),
                                 static_cast<std::size_t>(from.rows), cudaMemcpyDefault, queue.stream()),
               "cudaMemcpy2DAsync");
    return;
  }
  for (Index i = 0; i < from.rows; ++i)  // reversed, or all one row
    copy(queue, to.data + i * to.stride, from.data + i * from.stride, from.columns);
}

}  // namespace cuda
}  // namespace gradwell

// Arrays of the host for the length of one kernel: copied to the device, and back. It makes the kernels of this folder
// a table with the contracts of the CPU's. Private to cpp/src/cuda.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "cuda/memory.h"

namespace gradwell {
namespace cuda {

class Staging {
 public:
  Staging() : lock_(mutex()), queue_(shared_queue()) {}

  Queue& queue() { return queue_; }

  // Null stays null. A matrix comes to lie without gaps.
  template <class T>
  const T* in(const T* from, Index count) {
    return from ? copied(from, count) : nullptr;
  }
  template <class T>
  Matrix<const T> in(Matrix<const T> from) {
    if (!from.data) return from;
    return {copied(from).data, from.rows, from.columns, from.columns};
  }
  // What is there goes along, for kernels that read it or leave some of it alone; `finish` brings it back.
  template <class T>
  T* out(T* to, Index count) {
    if (!to) return nullptr;
    T* const data = copied(static_cast<const T*>(to), count);
    back_.push_back([=] { copy(queue_, to, static_cast<const T*>(data), count); });
    return data;
  }
  template <class T>
  Matrix<T> out(Matrix<T> to) {
    if (!to.data) return to;
    const Matrix<T> m = copied(Matrix<const T>{to.data, to.rows, to.columns, to.stride});
    back_.push_back([=] { copy(queue_, to, Matrix<const T>{m.data, m.rows, m.columns, m.stride}); });
    return m;
  }
  // A place on the device for a result, and its value after `finish`.
  template <class T>
  T* place(T* to) {
    return out(to, 1);
  }
  template <class T>
  T* scratch(Index count) {
    auto block = std::make_shared<DeviceBlock<T>>(queue_, count);
    T* const data = block->data();
    blocks_.push_back(std::move(block));
    return data;
  }
  void finish() {
    for (const auto& copy_back : back_) copy_back();
    queue_.wait();
  }

 private:
  static std::mutex& mutex();
  static Queue& shared_queue();

  template <class T>
  T* copied(const T* from, Index count) {
    T* const data = scratch<T>(count);
    copy(queue_, data, from, count);
    return data;
  }
  template <class T>
  Matrix<T> copied(Matrix<const T> from) {
    const Matrix<T> m = {scratch<T>(from.rows * from.columns), from.rows, from.columns, from.columns};
    copy(queue_, m, from);
    return m;
  }

  std::lock_guard<std::mutex> lock_;
  Queue& queue_;
  std::vector<std::shared_ptr<void>> blocks_;
  std::vector<std::function<void()>> back_;
};

}  // namespace cuda
}  // namespace gradwell

// Matrix products by NVIDIA's cuBLASLt. Private to cpp/src/cuda.
#pragma once

#include <cublasLt.h>

#include <map>
#include <tuple>

#include "cuda/memory.h"

namespace gradwell {
namespace cuda {

struct Factors {
  bool left_transposed = false;   // the left factor is stored as (depth, rows)
  bool right_transposed = false;  // the right one as (columns, depth)
  bool adds = false;              // to what is there
};

class Products {
 public:
  Products();
  ~Products();
  Products(const Products&) = delete;
  Products& operator=(const Products&) = delete;

  // c = a b, plus the bias (columns of c) in every row where it is not null. No row of a matrix overlaps the next.
  template <class T>
  void multiply(Queue& queue, Factors factors, Matrix<const T> a, Matrix<const T> b, const T* bias, Matrix<T> c);

 private:
  using Key = std::tuple<int, Index, Index, Index, Index, Index, Index, int, int, int>;
  struct Recipe;

  template <class T>
  Recipe& recipe(Factors, Matrix<const T> a, Matrix<const T> b, const T* bias, Matrix<T> c, Index depth);

  cublasLtHandle_t handle_ = nullptr;
  void* workspace_ = nullptr;
  std::map<Key, Recipe*> recipes_;
};

// c = a b of the queue's, by `Factors`.
template <class T>
void multiply(Queue& queue, Factors factors, Matrix<const T> a, Matrix<const T> b, Matrix<T> c,
              const T* bias = nullptr) {
  queue.products().multiply(queue, factors, a, b, bias, c);
}

}  // namespace cuda
}  // namespace gradwell

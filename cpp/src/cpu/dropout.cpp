#include "gradwell/dropout.h"

#include "cpu/level.h"
#include "cpu/parallel.h"
#include "elementwise/dropout_mask.h"

namespace gradwell {
namespace GRADWELL_LEVEL {
namespace {

constexpr Index element_weight = 16;

template <class T>
void row_mask(double rate, DropoutKey key, Index row, Index columns, T* mask) {
  if (rate == 0) {
    for (Index j = 0; j < columns; ++j) mask[j] = 1;
    return;
  }
  const DropoutMask<T> mask_from = mask_of<T>(rate);
  for (Index j = 0; j < columns; j += 4) {
    const Random4 random =
        random_words(key.seed, key.step, key.layer, static_cast<std::uint32_t>(j / 4), static_cast<std::uint32_t>(row));
    const int n = columns - j < 4 ? static_cast<int>(columns - j) : 4;
    for (int k = 0; k < n; ++k) mask[j + k] = mask_from(random.word[k]);
  }
}

template <class T>
void multiply_row(const T* a, const T* b, T* y, Index columns) {
  for_each_pack<T>(columns, [&](Index i, int n) { store_n<T>(y + i, load_n<T>(a + i, n) * load_n<T>(b + i, n), n); });
}

template <class T>
void forward(Context context, Matrix<const T> x, double rate, DropoutKey key, Index first_row, Matrix<T> mask,
             Matrix<T> y) {
  parallel_for(context, x.rows, x.rows * x.columns * element_weight, [&](Index row) {
    T* const m = mask.data + row * mask.stride;
    row_mask<T>(rate, key, first_row + row, x.columns, m);
    multiply_row<T>(x.data + row * x.stride, m, y.data + row * y.stride, x.columns);
  });
}

template <class T>
void multiply(Context context, Matrix<const T> a, Matrix<const T> b, Matrix<T> y) {
  parallel_for(context, a.rows, a.rows * a.columns, [&](Index row) {
    multiply_row<T>(a.data + row * a.stride, b.data + row * b.stride, y.data + row * y.stride, a.columns);
  });
}

}  // namespace

template <class T>
DropoutKernels<T> dropout_kernels() {
  return {forward<T>, multiply<T>};
}
template DropoutKernels<float> dropout_kernels<float>();
template DropoutKernels<double> dropout_kernels<double>();

}  // namespace GRADWELL_LEVEL
}  // namespace gradwell

#include "gradwell/dropout.h"

#include "cpu/level.h"
#include "cpu/parallel.h"
#include "elementwise/philox.h"

namespace gradwell {
namespace GRADWELL_LEVEL {
namespace {

constexpr Index element_weight = 16;

// One word a column; the counter's four are block of four columns, row, layer and step, the key is the seed. Where the
// step needs more than 32 bits the rest joins the layer's word.
template <class T>
void row_mask(double rate, DropoutKey key, Index row, Index columns, T* mask) {
  if (rate == 0) {
    for (Index j = 0; j < columns; ++j) mask[j] = 1;
    return;
  }
  const auto threshold = static_cast<std::uint64_t>(rate * 4294967296.0);
  const T kept = static_cast<T>(1.0 / (1.0 - rate));
  const auto key0 = static_cast<std::uint32_t>(key.seed), key1 = static_cast<std::uint32_t>(key.seed >> 32);
  const auto layer = key.layer ^ (static_cast<std::uint32_t>(key.step >> 32) << 16);
  for (Index j = 0; j < columns; j += 4) {
    const Random4 random = philox({{static_cast<std::uint32_t>(j / 4), static_cast<std::uint32_t>(row), layer,
                                    static_cast<std::uint32_t>(key.step)}},
                                  key0, key1);
    const int n = columns - j < 4 ? static_cast<int>(columns - j) : 4;
    for (int k = 0; k < n; ++k) mask[j + k] = random.word[k] < threshold ? T(0) : kept;
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

// Means and draws of units, from their input without the bias. Private to cpp/src/cuda.
#pragma once

#include "cuda/fours.h"
#include "elementwise/draws.h"
#include "gradwell/boltzmann.h"

namespace gradwell {
namespace cuda {

// Four columns of a row, which one counter draws for.
template <class T>
struct MeanAndDraw {
  const T* bias;
  UnitKind kind;
  DrawKey key;
  Index first_row;
  Matrix<T> mean, sample;  // sample.data may be null
  bool in_fours;

  __device__ void operator()(Index i, Index block) const {
    const bool normal = kind == UnitKind::gaussian;
    const Index j = 4 * block;
    T* const m = mean.data + i * mean.stride;
    Four<T> value = load_four<T>(m, j, mean.columns, in_fours);
    const Four<T> added = load_four(bias, j, mean.columns, in_fours);
    for (int k = 0; k < 4; ++k) {
      value.value[k] += added.value[k];
      if (!normal) value.value[k] = sigmoid<T>(value.value[k]);
    }
    store_four(m, j, mean.columns, in_fours, value);
    if (!sample.data) return;
    const Random4 random = random_words(key.seed, key.step, key.stream, static_cast<std::uint32_t>(block),
                                        static_cast<std::uint32_t>(first_row + i));
    T number[4];
    for (int k = 0; k < 4; ++k) number[k] = uniform_of<T>(random.word[k]);
    if (normal) {
      for (int k = 0; k < 4; k += 2) {
        const NormalPair<T> pair = box_muller<T>(number[k], number[k + 1]);
        value.value[k] += pair.cosine;
        value.value[k + 1] += pair.sine;
      }
    } else {
      for (int k = 0; k < 4; ++k) value.value[k] = number[k] < value.value[k] ? T(1) : T(0);
    }
    store_four(sample.data + i * sample.stride, j, sample.columns, in_fours, value);
  }
};

}  // namespace cuda
}  // namespace gradwell

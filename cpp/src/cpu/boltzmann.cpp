#include "gradwell/boltzmann.h"

#include "cpu/draws.h"
#include "cpu/gemm.h"
#include "cpu/level.h"

namespace gradwell {
namespace GRADWELL_LEVEL {
namespace {

constexpr Index softplus_weight = 16;  // multiply-adds that take as long as one softplus

// Means and draws of one tile, still in the first-level cache. All numbers are drawn before the first is used: a vector
// loaded right after its parts were stored would wait for them.
template <class T>
void finish_tile(UnitKind kind, DrawKey key, Index first_row, Matrix<T> mean, Matrix<T> sample, Index row, int rows,
                 Index column, int columns) {
  constexpr int width = 4 * draw_lanes<T>;
  alignas(64) T numbers[tile_rows * width];
  const bool normal = kind == UnitKind::gaussian;
  for (int i = 0; sample.data && i < rows; ++i) {
    T* const u = numbers + i * width;
    draw_uniform<T>(key, static_cast<std::uint32_t>(column / 4), static_cast<std::uint32_t>(first_row + row + i), u);
    if (normal) make_normal<T>(u);
  }
  for (int i = 0; i < rows; ++i) {
    T* const m = mean.data + (row + i) * mean.stride + column;
    if (!normal)
      for_each_pack<T>(columns, [&](Index j, int n) { store_n<T>(m + j, sigmoid<T>(load_n<T>(m + j, n)), n); });
    if (!sample.data) continue;
    T* const s = sample.data + (row + i) * sample.stride + column;
    const T* const u = numbers + i * width;
    for_each_pack<T>(columns, [&](Index j, int n) {
      const Pack<T> value = load_n<T>(m + j, n), number = load(u + j);
      store_n<T>(s + j, normal ? value + number : (number < value ? broadcast(T(1)) : Pack<T>{}), n);
    });
  }
}

template <class T>
void conditional(Context context, Matrix<const T> x, Matrix<const T> weight, bool transposed, const T* bias,
                 UnitKind kind, DrawKey key, Index first_row, Matrix<T> mean, Matrix<T> sample) {
  static_assert(tile_columns<T> % 4 == 0, "a tile draws for itself alone");
  gemm<T, Product::store>(context, mean.rows, mean.columns, x.columns, {x.data, x.stride, 1},
                          {weight.data, weight.stride, transposed}, bias, {mean.data, mean.stride, {}},
                          [&](Index row, int rows, Index column, int columns) {
                            finish_tile<T>(kind, key, first_row, mean, sample, row, rows, column, columns);
                          });
}

// The sum of term(j, n) over packs of columns, in double.
template <class T, class Term>
GRADWELL_INLINE double row_sum(Index columns, Term&& term) {
  double sum = 0;
  constexpr Index block = 8 * lanes<T>;  // summed in T, lane by lane
  for (Index first = 0; first < columns; first += block) {
    const Index some = columns - first < block ? columns - first : block;
    Pack<T> part = {};
    for_each_pack<T>(some, [&](Index j, int n) { part += term(first + j, n); });
    alignas(64) T lane[lanes<T>];
    store(lane, part);
    for (int k = 0; k < lanes<T>; ++k) sum += static_cast<double>(lane[k]);
  }
  return sum;
}

// x where it is one of the first n lanes, else 0: a partial load is 0 there, but f(0) need not be.
template <class T>
GRADWELL_INLINE Pack<T> first_lanes(Pack<T> x, int n) {
  if (n == lanes<T>) return x;
  alignas(64) T lane[lanes<T>] = {};
  store(lane, x);
  return load_part(lane, n);
}

template <class T>
void free_energy(Context context, Matrix<const T> v, Matrix<const T> weight, const T* visible_bias,
                 const T* hidden_bias, UnitKind kind, Matrix<T> z, double* energy) {
  gemm<T, Product::store>(context, z.rows, z.columns, v.columns, {v.data, v.stride, 1},
                          {weight.data, weight.stride, false}, hidden_bias, {z.data, z.stride, {}},
                          [](Index, int, Index, int) {});
  parallel_for(context, v.rows, v.rows * (v.columns + z.columns * softplus_weight), [&](Index row) {
    const T* const x = v.data + row * v.stride;
    const T* const input = z.data + row * z.stride;
    const double visible = row_sum<T>(v.columns, [&](Index j, int n) {
      const Pack<T> value = load_n<T>(x + j, n), a = load_n<T>(visible_bias + j, n);
      return kind == UnitKind::binary ? -(value * a) : T(0.5) * (value - a) * (value - a);
    });
    energy[row] = visible - row_sum<T>(z.columns, [&](Index j, int n) {
                    return first_lanes<T>(softplus<T>(load_n<T>(input + j, n)), n);
                  });
  });
}

// Turning v_i over changes F by (1 - 2 v_i) times -a_i, less what softplus gains; p(v_i | rest) = sigmoid(of that
// change).
template <class T>
void pseudo_likelihood(Context context, Matrix<const T> v, Matrix<const T> weight, const T* visible_bias,
                       Matrix<const T> z, double* sums) {
  parallel_for(context, v.rows, v.rows * v.columns * z.columns * softplus_weight, [&](Index row) {
    const T* const x = v.data + row * v.stride;
    const T* const input = z.data + row * z.stride;
    double total = 0;
    for (Index i = 0; i < v.columns; ++i) {
      const T turn = T(1) - T(2) * x[i];
      const T* const w = weight.data + i * weight.stride;
      const double gained = row_sum<T>(z.columns, [&](Index j, int n) {
        const Pack<T> now = load_n<T>(input + j, n);
        const Pack<T> after = fma(broadcast(turn), load_n<T>(w + j, n), now);
        return first_lanes<T>(softplus<T>(after) - softplus<T>(now), n);
      });
      const double rise = -static_cast<double>(turn) * static_cast<double>(visible_bias[i]) - gained;
      total -= static_cast<double>(softplus<double>(broadcast(-rise))[0]);
    }
    sums[row] = total;
  });
}

template <class T>
void update(Context context, Matrix<const T> v_data, Matrix<const T> h_data, Matrix<const T> v_model,
            Matrix<const T> h_model, BoltzmannStep step, Matrix<T> velocity, Matrix<T> weight) {
  const SgdRule<T> up = {static_cast<T>(step.momentum), static_cast<T>(step.positive)};
  const SgdRule<T> down = {T(1), static_cast<T>(-step.negative)};
  gemm<T, Product::update>(context, velocity.rows, velocity.columns, v_data.rows, {v_data.data, 1, v_data.stride},
                           {h_data.data, h_data.stride, false}, nullptr, {velocity.data, velocity.stride, up},
                           [](Index, int, Index, int) {});
  const T decay = static_cast<T>(-step.decay);
  gemm<T, Product::update>(context, velocity.rows, velocity.columns, v_model.rows, {v_model.data, 1, v_model.stride},
                           {h_model.data, h_model.stride, false}, nullptr, {velocity.data, velocity.stride, down},
                           [&](Index row, int rows, Index column, int columns) {
                             for (Index i = row; i < row + rows; ++i) {
                               T* const w = weight.data + i * weight.stride + column;
                               T* const speed = velocity.data + i * velocity.stride + column;
                               for_each_pack<T>(columns, [&](Index j, int n) {
                                 const Pack<T> old = load_n<T>(w + j, n);
                                 const Pack<T> s = fma(broadcast(decay), old, load_n<T>(speed + j, n));
                                 store_n<T>(speed + j, s, n);
                                 store_n<T>(w + j, old + s, n);
                               });
                             }
                           });
}

template <class T>
void squared_distance(Context context, Matrix<const T> a, Matrix<const T> b, double* errors) {
  parallel_for(context, a.rows, a.rows * a.columns, [&](Index row) {
    const T* const x = a.data + row * a.stride;
    const T* const y = b.data + row * b.stride;
    errors[row] = row_sum<T>(a.columns, [&](Index j, int n) {
      const Pack<T> d = load_n<T>(x + j, n) - load_n<T>(y + j, n);
      return d * d;
    });
  });
}

}  // namespace

template <class T>
BoltzmannKernels<T> boltzmann_kernels() {
  return {conditional<T>, free_energy<T>, pseudo_likelihood<T>, update<T>, squared_distance<T>};
}
template BoltzmannKernels<float> boltzmann_kernels<float>();
template BoltzmannKernels<double> boltzmann_kernels<double>();

}  // namespace GRADWELL_LEVEL
}  // namespace gradwell

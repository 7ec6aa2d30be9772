#include "gradwell/clipping.h"

#include "cpu/columns.h"
#include "cpu/level.h"
#include "cpu/parallel.h"
#include "cpu/squares.h"

namespace gradwell {
namespace GRADWELL_LEVEL {
namespace {

constexpr Index chunks_at_once = 256;

// The sum over chunks of of_chunk(begin, end), in their order.
template <class Body>
GRADWELL_INLINE double sum_of_chunks(Context context, Index count, Body&& of_chunk) {
  double sum = 0;
  for (Index first = 0; first < count; first += chunks_at_once * chunk_size) {
    const Index last = first + chunks_at_once * chunk_size < count ? first + chunks_at_once * chunk_size : count;
    double parts[chunks_at_once];
    for_each_chunk(context, last - first, 1,
                   [&](Index begin, Index end) { parts[begin / chunk_size] = of_chunk(first + begin, first + end); });
    const Index chunks = (last - first + chunk_size - 1) / chunk_size;
    for (Index k = 0; k < chunks; ++k) sum += parts[k];
  }
  return sum;
}

template <class T>
double norm(Context context, const T* x, Index count) {
  const double sum = sum_of_chunks(context, count, [&](Index i, Index end) { return sum_of_squares(x + i, end - i); });
  const double infinity = __builtin_inf();
  if (sizeof(T) == 4 || (sum > 1e-280 && sum < infinity)) return __builtin_sqrt(sum);
  double most = 0;
  for (Index i = 0; i < count; ++i) {
    const double size = __builtin_fabs(static_cast<double>(x[i]));
    if (size != size) return size;
    most = size > most ? size : most;
  }
  if (most == 0 || most == infinity) return most;
  const double scaled = sum_of_chunks(context, count, [&](Index i, Index end) {
    double part = 0;
    for (; i < end; ++i) part += static_cast<double>(x[i]) / most * (static_cast<double>(x[i]) / most);
    return part;
  });
  return most * __builtin_sqrt(scaled);
}

template <class T, class Body>
GRADWELL_INLINE void map_in_place(Context context, T* x, Index count, Body&& body) {
  for_each_chunk(context, count, 1, [&](Index begin, Index end) {
    for_each_pack<T>(end - begin, [&](Index i, int n) {
      T* const at = x + begin + i;
      store_n<T>(at, body(load_n<T>(at, n)), n);
    });
  });
}

template <class T>
void by_value(Context context, T* x, double limit, Index count) {
  const T most = static_cast<T>(limit);
  map_in_place<T>(context, x, count, [&](Pack<T> g) { return at_least<T>(at_most<T>(g, most), -most); });
}

template <class T>
void scale(Context context, T* x, double factor, Index count) {
  const T f = static_cast<T>(factor);
  map_in_place<T>(context, x, count, [&](Pack<T> g) { return g * f; });
}

// Multiplies each column j of m by factor(j, its sum of squares) where that is below 1.
template <class T, class Factor>
GRADWELL_INLINE Index shrink_columns(Context context, Matrix<T> m, Factor&& factor) {
  const Index tasks = (m.columns + strip_columns<T> - 1) / strip_columns<T>;
  Index shrunk = 0;
  parallel_for(context, tasks, m.rows * m.columns, [&](Index task) {
    const Index begin = task * strip_columns<T>;
    const Index end = begin + strip_columns<T> < m.columns ? begin + strip_columns<T> : m.columns;
    Index found = 0;
    for_each_strip<T>(begin, end, [&](Index j, auto vectors, int last) {
      constexpr int count = vectors.value;
      alignas(64) double squares[count * lanes<T>];
      alignas(64) T factors[count * lanes<T>];
      const auto n = [&](int) { return count > 1 ? lanes<T> : last; };
      const auto at = [&](Index row, int v) { return m.data + row * m.stride + j + v * lanes<T>; };
      column_sums<T, count>(m.rows, squares, [&](Index row, int v) {
        const Pack<T> x = load_n<T>(at(row, v), n(v));
        return x * x;
      });
      bool any = false;
      const int columns = (count - 1) * lanes<T> + last;
      for (int k = 0; k < count * lanes<T>; ++k) {
        const double f = k < columns ? factor(j + k, squares[k]) : 1.0;
        factors[k] = f < 1 ? static_cast<T>(f) : T(1);
        found += f < 1;
        any = any || f < 1;
      }
      for (Index row = 0; any && row < m.rows; ++row)
        for (int v = 0; v < count; ++v)
          store_n<T>(at(row, v), load_n<T>(at(row, v), n(v)) * load(factors + v * lanes<T>), n(v));
    });
    __atomic_fetch_add(&shrunk, found, __ATOMIC_RELAXED);
  });
  return shrunk;
}

template <class T>
double column_square(Matrix<const T> m, Index column) {
  double sum = 0;
  for (Index row = 0; row < m.rows; ++row) {
    const double x = static_cast<double>(m.data[row * m.stride + column]);
    sum += x * x;
  }
  return sum;
}

template <class T>
Index adaptive(Context context, Matrix<const T> weight, Matrix<T> gradient, double ratio, double floor) {
  return shrink_columns<T>(context, gradient, [&](Index column, double squares) {
    const double size = __builtin_sqrt(squares), w = __builtin_sqrt(column_square<T>(weight, column));
    const double most = ratio * (w > floor ? w : floor);
    return size > most ? most / size : 1.0;
  });
}

template <class T>
Index max_norm(Context context, Matrix<T> weight, double limit) {
  return shrink_columns<T>(context, weight, [&](Index, double squares) {
    const double size = __builtin_sqrt(squares);
    return size > limit ? limit / size : 1.0;
  });
}

}  // namespace

template <class T>
ClippingKernels<T> clipping_kernels() {
  return {norm<T>, by_value<T>, scale<T>, adaptive<T>, max_norm<T>};
}
template ClippingKernels<float> clipping_kernels<float>();
template ClippingKernels<double> clipping_kernels<double>();

}  // namespace GRADWELL_LEVEL
}  // namespace gradwell

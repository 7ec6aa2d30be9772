// Units whose derivative is next to nothing, of many stages by one launch.
#include "cuda/activation.h"
#include "elementwise/activation_functors.h"

namespace gradwell {
namespace cuda {
namespace {

constexpr int threads = 256;
constexpr int rows_each = 16;  // of a thread
constexpr int most_tasks = 32;

// A block takes `wide` columns of `high` rows at a time; tiles are counted along the columns first.
template <class T>
struct Tiles {
  SaturationTask<T> task;
  int first_block, across, wide, high;
};
template <class T>
struct Group {
  int count;
  Tiles<T> tiles[most_tasks];  // handed over by value: 4 KiB at most
};
static_assert(sizeof(Group<double>) <= 4096, "what a kernel is given");

template <class T>
Tiles<T> tiles_of(const SaturationTask<T>& task, Index* blocks) {
  const Matrix<const T>& m = task.of.saved;
  const int wide = static_cast<int>(m.columns < threads ? m.columns : threads), high = threads / wide;
  const Index across = ceiling(m.columns, wide);
  *blocks = across * ceiling(m.rows, high * rows_each);
  return {task, 0, static_cast<int>(across), wide, high};
}

// A thread keeps to its column: whole rows of a block lie together.
template <class T>
__global__ void __launch_bounds__(threads) find_saturated(Group<T> group) {
  __shared__ int scratch[32];
  const int block = static_cast<int>(blockIdx.x), thread = static_cast<int>(threadIdx.x);
  int k = 0;
  while (k + 1 < group.count && block >= group.tiles[k + 1].first_block) ++k;
  const Tiles<T>& tiles = group.tiles[k];
  const Derivative<T> of = tiles.task.of;
  const int tile = block - tiles.first_block, high = tiles.high;
  const Index first = static_cast<Index>(tile / tiles.across) * (high * rows_each) + thread / tiles.wide;
  const Index column = static_cast<Index>(tile % tiles.across) * tiles.wide + thread % tiles.wide;
  const bool there = thread / tiles.wide < high && column < of.saved.columns;
  int flat = 0;
  bool lives = false;
  with_functor<T>(of.activation, [&](auto f) {
    const T limit = T(0.01) * f.steepest();
    const T* const from = of.saved.data + column;
    T saved[rows_each];
    GRADWELL_UNROLL
    for (int i = 0; i < rows_each; ++i) {
      const Index row = first + i * high;
      saved[i] = there && row < of.saved.rows ? from[row * of.saved.stride] : T(0);
    }
    GRADWELL_UNROLL
    for (int i = 0; i < rows_each; ++i) {
      if (!there || first + i * high >= of.saved.rows) continue;
      const T slope = derivative_of<T>(f, saved[i], of.which == Saved::output, 0);
      const bool next_to_nothing = magnitude<T>(slope) < limit;
      flat += next_to_nothing;
      lives = lives || !next_to_nothing;
    }
  });
  if (lives) tiles.task.alive[column] = 1;
  flat = join_block(flat, Plus{}, 0, scratch);
  if (thread == 0 && flat > 0) atomicAdd(tiles.task.flat, static_cast<unsigned long long>(flat));
}

}  // namespace

template <class T>
void activation_saturations(Queue& queue, const SaturationTask<T>* tasks, int count) {
  Group<T> group = {};
  Index blocks = 0;
  const auto finish = [&] {
    launch("activation_saturation", queue, {blocks, threads}, find_saturated<T>, group);
    group.count = 0;
    blocks = 0;
  };
  for (int k = 0; k < count; ++k) {
    const Matrix<const T>& m = tasks[k].of.saved;
    if (m.rows <= 0 || m.columns <= 0) continue;
    Index more = 0;
    Tiles<T> tiles = tiles_of(tasks[k], &more);
    if (group.count == most_tasks || blocks + more > most_blocks) finish();
    tiles.first_block = static_cast<int>(blocks);
    group.tiles[group.count++] = tiles;
    blocks += more;
  }
  finish();
}

template <class T>
void activation_saturation(Queue& queue, Derivative<T> of, unsigned long long* flat,
                           typename SameSize<T>::Integer* alive) {
  const SaturationTask<T> task = {of, flat, alive};
  activation_saturations(queue, &task, 1);
}

#define GRADWELL_INSTANTIATE(T)                                                \
  template void activation_saturations(Queue&, const SaturationTask<T>*, int); \
  template void activation_saturation(Queue&, Derivative<T>, unsigned long long*, SameSize<T>::Integer*);
GRADWELL_INSTANTIATE(float)
GRADWELL_INSTANTIATE(double)

}  // namespace cuda
}  // namespace gradwell

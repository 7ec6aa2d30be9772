// One pass over a batch: forward, loss, and the error signals back to the first layer.
//
// Where every row is independent of the others and the weights are small, threads take blocks of rows through all
// layers and meet once, at the end. Else they share out the columns of every product.
#include <algorithm>
#include <cmath>

#include "core/team.h"
#include "layers/layer.h"

namespace gradwell {
namespace {

// Each thread reads all weights when rows are shared out: of a matrix beyond this, half of a second-level cache, a
// thread had better read its own part only.
constexpr Index most_shared_weight = 131072;

}  // namespace

// Whether threads take blocks of rows through all layers, rather than sharing out the columns of each product.
template <class T>
bool Program<T>::shares_rows(Index batch) const {
  return rows_apart_ && largest_weight_ <= most_shared_weight && batch > part_rows;
}

// Multiply-adds: half a step where they share rows, else a product.
template <class T>
double Program<T>::work_between_meetings(Index batch) const {
  const double step = 3.0 * static_cast<double>(batch) * static_cast<double>(weights_);
  return step / (shares_rows(batch) ? 2.0 : 3.0 * static_cast<double>(layers_.size()));
}

template <class T>
Matrix<const T> Program<T>::input_of(std::size_t layer, Index batch) const {
  return layer == 0 ? x_ : layers_[layer - 1]->output(batch);
}

template <class T>
void Program<T>::fetch_some() {
  constexpr Index lines = 40, size = 64;
  const Index bytes = inputs_ * static_cast<Index>(sizeof(T));
  for (Index k = 0; k < lines && ahead_.row < ahead_.rows; ++k) {
    const char* const row = reinterpret_cast<const char*>(samples_.data + ahead_.order[ahead_.row] * samples_.stride);
    __builtin_prefetch(row + ahead_.line, 0, 2);
    ahead_.line += size;
    if (ahead_.line < bytes) continue;
    ahead_.line = 0;
    ++ahead_.row;
  }
}

template <class T>
void Program<T>::forward_rows(const Pass<T>& pass, Index batch, Rows rows) {
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    fetch_some();
    layers_[i]->forward(pass, input_of(i, batch), rows);
  }
}

// From dC/dy of the last layer, in its error, to dC/dz of the first. Where the step is not recorded, the product that
// makes dC/dy of a layer multiplies by its derivative at once.
template <class T>
void Program<T>::backward_rows(const Pass<T>& pass, Index batch, Rows rows, std::size_t block) {
  double* const bounds = bounds_.data() + 2 * block * layers_.size();
  const auto largest = [&](Matrix<const T> m) {
    return pass.kernels.statistics.largest(pass.context, rows_of(m, rows));
  };
  bool done = false;
  for (std::size_t i = layers_.size(); i-- > 0;) {
    if (!done) layers_[i]->backward_activation(pass, input_of(i, batch), rows);
    if (rows_apart_) {
      bounds[2 * i] = i > 0 && layers_[i - 1]->bounded() ? 1.0 : largest(input_of(i, batch));
      bounds[2 * i + 1] = largest(as_const(layers_[i]->error(batch)));
    }
    fetch_some();
    if (i == 0) break;
    const Derivative<T> below = pass.recorder ? Derivative<T>{} : layers_[i - 1]->derivative(rows);
    done = below.saved.data != nullptr;
    layers_[i]->backward_input(pass, rows, below, layers_[i - 1]->error(batch));
  }
}

template <class T>
void Program<T>::run_forward(Context context, Matrix<const T> x) {
  x_ = x;
  forward_rows({context, kernels<T>(), nullptr}, x.rows, {0, x.rows});
}

template <class T>
LossResult Program<T>::add_costs(Index rows, Index correct) const {
  LossResult result = {0, correct};
  for (Index i = 0; i < rows; ++i) result.sum += costs_.data()[i];
  return result;
}

template <class T>
LossResult Program<T>::run_rows(Context context, LossKind loss, const Samples<T>& samples, Recorder<T>* recorder) {
  x_ = samples.x;
  const Index batch = x_.rows, groups = (batch + part_rows - 1) / part_rows;
  const bool apart = context.team && shares_rows(batch);
  row_blocks_ = apart ? static_cast<std::size_t>(std::min<Index>(context.threads, groups)) : 1;
  bounds_.resize(2 * row_blocks_ * layers_.size());
  const auto blocks = static_cast<Index>(row_blocks_);
  const Context within = apart ? Context{1, context.flush_denormals} : context;
  Index correct = 0;
  for_each_task(context, blocks, [&](Index block) {
    const Index first = groups * block / blocks * part_rows;
    const Rows rows = {first, std::min(groups * (block + 1) / blocks * part_rows, batch) - first};
    const Pass<T> pass = {within, kernels<T>(), recorder};
    forward_rows(pass, batch, rows);
    const Targets<T> targets = {samples.targets.classes ? samples.targets.classes + first : nullptr,
                                rows_of(samples.targets.values, rows)};
    const Index found =
        pass.kernels.loss.evaluate(within, loss, rows_of(layers_.back()->output(batch), rows), targets, batch,
                                   rows_of(layers_.back()->error(batch), rows), costs_.data() + first);
    __atomic_fetch_add(&correct, found, __ATOMIC_RELAXED);
    backward_rows(pass, batch, rows, static_cast<std::size_t>(block));
  });
  return add_costs(batch, correct);
}

// No element of a gradient is larger: each is a sum over the batch of products of an input and an error.
template <class T>
double Program<T>::gradient_bound(Index batch) const {
  double bound = 0;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    double input = 1, error = 0;  // 1: what a bias is multiplied by
    for (std::size_t block = 0; block < row_blocks_; ++block) {
      const double* const found = bounds_.data() + 2 * (block * layers_.size() + i);
      if (!(found[0] <= input)) input = found[0];  // NaN stays
      if (!(found[1] <= error)) error = found[1];
    }
    const double most = input * error * static_cast<double>(batch);
    if (!(most <= bound)) bound = most;
  }
  return bound;
}

#define GRADWELL_INSTANTIATE(T)                                                                 \
  template bool Program<T>::shares_rows(Index) const;                                           \
  template double Program<T>::work_between_meetings(Index) const;                               \
  template Matrix<const T> Program<T>::input_of(std::size_t, Index) const;                      \
  template void Program<T>::fetch_some();                                                       \
  template void Program<T>::backward_rows(const Pass<T>&, Index, Rows, std::size_t);            \
  template void Program<T>::run_forward(Context, Matrix<const T>);                              \
  template LossResult Program<T>::add_costs(Index, Index) const;                                \
  template LossResult Program<T>::run_rows(Context, LossKind, const Samples<T>&, Recorder<T>*); \
  template double Program<T>::gradient_bound(Index) const;
GRADWELL_INSTANTIATE(float)
GRADWELL_INSTANTIATE(double)

}  // namespace gradwell

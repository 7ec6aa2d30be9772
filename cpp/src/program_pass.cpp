// One pass over a batch: forward, loss, and the error signals back to the first layer.
//
// Where every row is independent of the others and the weights are small, threads take blocks of rows through all
// layers and meet once, at the end. Else they share out the columns of every product.
#include <algorithm>
#include <cmath>
#include <type_traits>

#include "core/team.h"
#include "larger.h"
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
Matrix<const T> Program<T>::output_of(int stage, Index batch) const {
  return stage < 0 ? x_ : layers_[static_cast<std::size_t>(stage)]->output(batch);
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

// Hands the error of a layer on to what it was made of.
template <class T>
void Program<T>::pass_back(const Pass<T>& pass, std::size_t i, Index batch, Rows rows, Matrix<T> input_error) {
  Layer<T>& layer = *layers_[i];
  const Flow& flow = flow_[i];
  const Matrix<const T> x = input_of(i, batch);
  const auto error_of = [&](int stage) {
    return stage < 0 ? input_error : layers_[static_cast<std::size_t>(stage)]->error(batch);
  };
  const auto record = [&](int joint, bool shortcut, Matrix<T> part) {
    if (pass.recorder && joint >= 0) pass.recorder->part(pass, joint, shortcut, rows, as_const(rows_of(part, rows)));
  };
  if (flow.skip > -2) {
    const Matrix<T> to = error_of(flow.skip);
    const Matrix<T> from = layer.error(batch);
    const bool straight = flow.skip < 0 || !flow_[static_cast<std::size_t>(flow.skip)].shortcut ||
                          flow_[static_cast<std::size_t>(flow.skip)].joint != static_cast<int>(i);
    if (straight && flow.skip >= 0) record(static_cast<int>(i), true, from);
    if (to.data && flow.skip_adds) {
      pass.kernels.residual.add(pass.context, as_const(rows_of(from, rows)), rows_of(to, rows));
    } else if (to.data) {
      pass.kernels.residual.scaled(pass.context, as_const(rows_of(from, rows)), T(1), rows_of(to, rows));
    }
  }
  const Matrix<T> to = error_of(flow.from);
  if (!to.data) return layer.backward_end(pass, x, rows);
  if (flow.adds) {
    const Matrix<T> part = {scratch_.data, batch, x.columns, steps_ > 1 ? x.columns : scratch_.stride};  // no gaps
    layer.backward_input(pass, x, rows, {}, part);
    record(flow.joint, flow.shortcut, part);
    pass.kernels.residual.add(pass.context, as_const(rows_of(part, rows)), rows_of(to, rows));
    return;
  }
  const bool fuse = flow.from >= 0 && pass.fuses() && flow_[static_cast<std::size_t>(flow.from)].fusible;
  layer.backward_input(pass, x, rows,
                       fuse ? layers_[static_cast<std::size_t>(flow.from)]->derivative(rows) : Derivative<T>{}, to);
  record(flow.joint, flow.shortcut, to);
}

// From dC/dy of the last layer, in its error, to dC/dz of the first. Where the step is not recorded, the product that
// makes dC/dy of a layer multiplies by its derivative at once.
template <class T>
void Program<T>::backward_rows(const Pass<T>& pass, Index batch, Rows rows, std::size_t block, Matrix<T> input_error) {
  double* const bounds = bounds_.data() + 2 * block * layers_.size();
  const auto largest = [&](Matrix<const T> m) {
    return pass.kernels.statistics.largest(pass.context, rows_of(m, rows));
  };
  for (std::size_t i = layers_.size(); i-- > 0;) {
    Layer<T>& layer = *layers_[i];
    const bool done = pass.fuses() && flow_[i].fusible && layer.derivative(rows).saved.data;
    if (!done) layer.backward_activation(pass, input_of(i, batch), rows);
    if (layer.reach(1) > 0) {
      const int from = flow_[i].from;
      const bool bounded = from >= 0 && layers_[static_cast<std::size_t>(from)]->bounded();
      bounds[2 * i] = bounded ? 1.0 : largest(input_of(i, batch));
      bounds[2 * i + 1] = largest(as_const(layer.error(batch)));
    }
    fetch_some();
    pass_back(pass, i, batch, rows, input_error);
  }
}

template <class T>
void Program<T>::begin(const Pass<T>& pass, Index batch) {
  for (Layer<T>* layer : hooked_) layer->begin(pass, batch);
}

template <class T>
void Program<T>::make_sums(const Pass<T>& pass) {
  for (Layer<T>* layer : hooked_) layer->make_sums(pass);
}

template <class T>
void Program<T>::run_forward(Context context, Matrix<const T> x, const Index* lengths, Mode mode) {
  x_ = x;
  x_lengths_ = lengths;
  const Pass<T> pass = {context, kernels<T>(), nullptr, mode, x, lengths};
  begin(pass, x.rows);
  forward_rows(pass, x.rows, {0, x.rows});
}

// How many targets there are: rows, or steps that take part.
template <class T>
Index Program<T>::targets_of(const Samples<T>& samples) const {
  if (!gives_sequences_ || !samples.lengths) return samples.x.rows * output_steps_;
  Index count = 0;
  for (Index b = 0; b < samples.x.rows; ++b) count += samples.lengths[b];
  return count;
}

// The loss of `rows`, of sequences step by step, divided by `whole`. Steps beyond a length cost nothing.
template <class T>
Index Program<T>::evaluate_rows(const Pass<T>& pass, LossKind loss, const Samples<T>& samples, Index whole, Rows rows,
                                Matrix<T> error) {
  const Matrix<const T> outputs = layers_.back()->output(samples.x.rows);
  const Index steps = output_steps_, units = outputs.columns / steps;
  const auto some = [&](Index row, Index count, Index used) {
    const auto part = [&](auto m) {
      using Element = std::remove_pointer_t<decltype(m.data)>;
      if (!gives_sequences_) return rows_of(m, Rows{row, count});
      return Matrix<Element>{m.data ? m.data + row * m.stride : nullptr, used, units, m.stride / steps};
    };
    const Index* const classes = samples.targets.classes;
    const Targets<T> targets = {classes ? classes + row * steps : nullptr, part(samples.targets.values)};
    return pass.kernels.loss.evaluate(pass.context, loss, part(outputs), targets, whole, part(error),
                                      costs_.data() + row * steps);
  };
  if (!gives_sequences_ || !samples.lengths) return some(rows.first, rows.count, rows.count * steps);
  Index correct = 0;
  for (Index b = rows.first; b < rows.first + rows.count; ++b) {
    const Index length = samples.lengths[b];
    correct += some(b, 1, length);
    std::fill(costs_.data() + b * steps + length, costs_.data() + (b + 1) * steps, 0.0);
    if (error.data)
      std::fill(error.data + b * error.stride + length * units, error.data + b * error.stride + steps * units, T(0));
  }
  return correct;
}

template <class T>
LossResult Program<T>::add_costs(Index rows, Index correct) const {
  LossResult result = {0, correct, rows};
  for (Index i = 0; i < rows; ++i) result.sum += costs_.data()[i];
  return result;
}

template <class T>
LossResult Program<T>::run_rows(Context context, LossKind loss, const Samples<T>& samples, Mode mode,
                                Recorder<T>* recorder) {
  x_ = samples.x;
  const Index batch = x_.rows, groups = (batch + part_rows - 1) / part_rows;
  const bool apart = context.team && shares_rows(batch);
  row_blocks_ = apart ? static_cast<std::size_t>(std::min<Index>(context.threads, groups)) : 1;
  bounds_.resize(2 * row_blocks_ * layers_.size());
  const auto blocks = static_cast<Index>(row_blocks_);
  const Context within = apart ? Context{1, context.flush_denormals} : context;
  const Index whole = targets_of(samples);
  x_lengths_ = samples.lengths;
  begin({context, kernels<T>(), recorder, mode, x_, x_lengths_}, batch);
  Index correct = 0;
  for_each_task(context, blocks, [&](Index block) {
    const Index first = groups * block / blocks * part_rows;
    const Rows rows = {first, std::min(groups * (block + 1) / blocks * part_rows, batch) - first};
    const Pass<T> pass = {within, kernels<T>(), recorder, mode, x_, x_lengths_};
    forward_rows(pass, batch, rows);
    const Index found = evaluate_rows(pass, loss, samples, whole, rows, layers_.back()->error(batch));
    __atomic_fetch_add(&correct, found, __ATOMIC_RELAXED);
    backward_rows(pass, batch, rows, static_cast<std::size_t>(block), {nullptr, 0, 0, 0});
  });
  make_sums({context, kernels<T>(), recorder, mode, x_, x_lengths_});
  LossResult result = add_costs(batch * output_steps_, correct);
  result.counted = whole;
  return result;
}

// No element of a gradient is larger: each is a sum over the batch of products of an input and an error. Those that the
// pass has made already are looked at.
template <class T>
double Program<T>::gradient_bound(Context context, Index batch) const {
  double bound = 0;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    if (!(layers_[i]->reach(1) > 0)) continue;
    double input = 0, error = 0;
    for (std::size_t block = 0; block < row_blocks_; ++block) {
      const double* const found = bounds_.data() + 2 * (block * layers_.size() + i);
      input = larger(input, found[0]);
      error = larger(error, found[1]);
    }
    bound = larger(bound, layers_[i]->reach(input) * error * static_cast<double>(batch));
  }
  for (const std::size_t slice : on_the_way_)
    bound = larger(bound, largest(context, gradients_.data(), slices_[slice]));
  return bound;
}

#define GRADWELL_INSTANTIATE(T)                                                                                  \
  template bool Program<T>::shares_rows(Index) const;                                                            \
  template double Program<T>::work_between_meetings(Index) const;                                                \
  template Matrix<const T> Program<T>::output_of(int, Index) const;                                              \
  template void Program<T>::fetch_some();                                                                        \
  template void Program<T>::backward_rows(const Pass<T>&, Index, Rows, std::size_t, Matrix<T>);                  \
  template void Program<T>::run_forward(Context, Matrix<const T>, const Index*, Mode);                           \
  template void Program<T>::begin(const Pass<T>&, Index);                                                        \
  template void Program<T>::make_sums(const Pass<T>&);                                                           \
  template Index Program<T>::targets_of(const Samples<T>&) const;                                                \
  template Index Program<T>::evaluate_rows(const Pass<T>&, LossKind, const Samples<T>&, Index, Rows, Matrix<T>); \
  template LossResult Program<T>::add_costs(Index, Index) const;                                                 \
  template LossResult Program<T>::run_rows(Context, LossKind, const Samples<T>&, Mode, Recorder<T>*);            \
  template double Program<T>::gradient_bound(Context, Index) const;
GRADWELL_INSTANTIATE(float)
GRADWELL_INSTANTIATE(double)

}  // namespace gradwell

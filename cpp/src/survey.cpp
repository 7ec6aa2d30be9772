#include "survey.h"

#include <algorithm>
#include <cmath>

#include "core/team.h"
#include "gradwell/activation.h"
#include "gradwell/memory.h"

namespace gradwell {
namespace {

constexpr Index most_parts = 8192;       // at once: 5 MB of float32's
constexpr Index task_parts = 4;          // of a task
constexpr Index task_columns = 1024;     // of a task that looks at units
constexpr double work_an_element = 4.0;  // in multiply-adds, of a full measurement

template <class T>
Matrix<const T> row_of(const Values& values) {
  return {static_cast<const T*>(values.data), values.size > 0 ? 1 : 0, values.size, values.size};
}

Index parts_of(const Values& values) {
  return pieces_of(values.size > 0 ? 1 : 0, values.size).count;
}

// A run of an array's pieces.
struct Task {
  std::size_t item;
  Index first_part, count;
  Index at;  // where the item's results begin
};

void cut(std::vector<Task>& tasks, std::size_t item, Index parts, Index at) {
  for (Index first = 0; first < parts; first += task_parts)
    tasks.push_back({item, first, std::min(task_parts, parts - first), at});
}

template <class T>
Matrix<const T> run_of(const Values& values, const Task& task) {
  const Index begin = task.first_part * part_elements;
  const Index size = std::min(values.size - begin, task.count * part_elements);
  return {static_cast<const T*>(values.data) + begin, 1, size, size};
}

Context alone(Context context) {
  return {1, context.flush_denormals};
}

void keep(Survey& to, const Statistics& statistics, const std::uint64_t* histogram, Index low, Index high) {
  while (low < high && histogram[low] == 0) ++low;
  while (high > low && histogram[high - 1] == 0) --high;
  to.statistics.push_back(statistics);
  to.low.push_back(low < high ? low - exponent_bias : 0);
  to.bins.push_back(high - low);
  for (Index k = low; k < high; ++k)
    to.counts.push_back(static_cast<std::uint32_t>(std::min<std::uint64_t>(histogram[k], UINT32_MAX)));
}

// Only the occupied exponents are cleared, added up and looked through.
template <class T>
void merge(const StatisticsPart<T>* parts, Index count, std::uint64_t* histogram, Survey& to) {
  Index low = exponent_bins, high = 0;
  for (Index k = 0; k < count; ++k) {
    if (parts[k].high < parts[k].low) continue;
    low = std::min<Index>(low, parts[k].low + ExponentRange<T>::lowest);
    high = std::max<Index>(high, parts[k].high + ExponentRange<T>::lowest + 1);
  }
  low = std::min(low, high);
  std::fill(histogram + low, histogram + high, std::uint64_t{0});
  const Statistics statistics = kernels<T>().statistics.merge(parts, count, histogram);
  keep(to, statistics, histogram, low, high);
}

// Arrays [begin, end), all of type T, whose parts are at hand together; one longer than that takes the kernel's own
// way.
template <class T>
void measure(Context context, const std::vector<Values>& full, std::size_t begin, std::size_t end, Survey& to) {
  std::vector<std::uint64_t> histogram(exponent_bins);
  const auto& kernel = kernels<T>().statistics;
  if (end == begin + 1 && parts_of(full[begin]) > most_parts) {
    const Statistics statistics = kernel.measure(context, row_of<T>(full[begin]), histogram.data());
    keep(to, statistics, histogram.data(), 0, exponent_bins);
    return;
  }
  std::vector<Task> tasks;
  Index parts = 0;
  for (std::size_t i = begin; i < end; ++i) {
    cut(tasks, i, parts_of(full[i]), parts);
    parts += parts_of(full[i]);
  }
  Block<StatisticsPart<T>> found(parts);
  for_each_task(context, static_cast<Index>(tasks.size()), [&](Index k) {
    const Task& task = tasks[static_cast<std::size_t>(k)];
    kernel.measure_parts(alone(context), run_of<T>(full[task.item], task), found.data() + task.at + task.first_part);
  });
  Index at = 0;
  for (std::size_t i = begin; i < end; ++i) {
    merge(found.data() + at, parts_of(full[i]), histogram.data(), to);
    at += parts_of(full[i]);
  }
}

void measure_all(Context context, const std::vector<Values>& full, Survey& to) {
  for (std::size_t begin = 0; begin < full.size();) {
    Index parts = parts_of(full[begin]);
    std::size_t end = begin + 1;
    while (end < full.size() && full[end].wide == full[begin].wide && parts + parts_of(full[end]) <= most_parts)
      parts += parts_of(full[end++]);
    full[begin].wide ? measure<double>(context, full, begin, end, to) : measure<float>(context, full, begin, end, to);
    begin = end;
  }
}

// Without squaring what is too large or too small for it.
double norm_of(const double* norms, Index count) {
  const double most = count > 0 ? *std::max_element(norms, norms + count) : 0;
  if (most == 0 || !std::isfinite(most)) return most;
  double squares = 0;
  for (Index k = 0; k < count; ++k) squares += norms[k] / most * (norms[k] / most);
  return most * std::sqrt(squares);
}

void norms_of_all(Context context, const std::vector<Values>& normed, Survey& to) {
  std::vector<Task> tasks;
  Index parts = 0;
  for (std::size_t i = 0; i < normed.size(); ++i) {
    cut(tasks, i, parts_of(normed[i]), parts);
    parts += parts_of(normed[i]);
  }
  std::vector<double> found(static_cast<std::size_t>(parts));
  for_each_task(context, static_cast<Index>(tasks.size()), [&](Index k) {
    const Task& task = tasks[static_cast<std::size_t>(k)];
    const Values& values = normed[task.item];
    double* const at = found.data() + task.at + task.first_part;
    if (values.wide)
      kernels<double>().statistics.norms(alone(context), run_of<double>(values, task), at);
    else
      kernels<float>().statistics.norms(alone(context), run_of<float>(values, task), at);
  });
  const double* at = found.data();
  for (const Values& values : normed) {
    to.norms.push_back(norm_of(at, parts_of(values)));
    at += parts_of(values);
  }
}

template <class T>
Index flat_of(Context context, const Units& of) {
  using Integer = typename SameSize<T>::Integer;
  const Index columns = of.units * of.inner;
  Block<Integer> alive((columns + 15) / 16 * 16);
  std::fill(alive.data(), alive.data() + alive.size(), Integer{0});
  const Index tasks = (columns + task_columns - 1) / task_columns;
  std::vector<Index> flat(static_cast<std::size_t>(tasks));
  for_each_task(context, tasks, [&](Index k) {
    const Index first = k * task_columns, some = std::min(task_columns, columns - first);
    const Matrix<const T> y = {static_cast<const T*>(of.y.data) + first, of.rows, some, columns};
    flat[static_cast<std::size_t>(k)] =
        kernels<T>().activation.saturation(alone(context), {of.activation, Saved::output, y}, alive.data() + first);
  });
  for (Index j = 0; j < columns; ++j)
    if (alive.data()[j]) of.alive[j / of.inner] = 1;
  Index all = 0;
  for (Index part : flat) all += part;
  return all;
}

}  // namespace

Survey survey(Context context, const std::vector<Values>& full, const std::vector<Values>& normed,
              const std::vector<Units>& units) {
  double work = 0;
  for (const Values& values : full) work += work_an_element * static_cast<double>(values.size);
  for (const Values& values : normed) work += static_cast<double>(values.size);
  for (const Units& of : units) work += static_cast<double>(of.y.size);
  Survey found;
  on_threads(context, work, [&](Context inside) {
    measure_all(inside, full, found);
    norms_of_all(inside, normed, found);
    for (const Units& of : units)
      found.flat.push_back(of.y.wide ? flat_of<double>(inside, of) : flat_of<float>(inside, of));
  });
  return found;
}

std::vector<ChangeNorms> changes(Context context, const std::vector<Change>& parameters) {
  std::vector<Task> tasks;
  Index parts = 0;
  double elements = 0;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const Index count = (parameters[i].size + part_elements - 1) / part_elements;
    cut(tasks, i, count, parts);
    parts += count;
    elements += static_cast<double>(parameters[i].size);
  }
  std::vector<double> moved(static_cast<std::size_t>(parts)), sizes(static_cast<std::size_t>(parts));
  on_threads(context, elements, [&](Context inside) {
    for_each_task(inside, static_cast<Index>(tasks.size()), [&](Index k) {
      const Task& task = tasks[static_cast<std::size_t>(k)];
      const Change& change = parameters[task.item];
      const Index begin = task.first_part * part_elements;
      const Index size = std::min(change.size - begin, task.count * part_elements);
      double* const m = moved.data() + task.at + task.first_part;
      double* const s = sizes.data() + task.at + task.first_part;
      const auto one = [&](auto zero) {
        using T = decltype(zero);
        kernels<T>().statistics.changes(alone(inside), size, static_cast<const T*>(change.now) + begin,
                                        static_cast<T*>(change.before) + begin, m, s);
      };
      change.wide ? one(0.0) : one(0.0f);
    });
  });
  std::vector<ChangeNorms> found;
  const double *m = moved.data(), *s = sizes.data();
  for (const Change& change : parameters) {
    const Index count = (change.size + part_elements - 1) / part_elements;
    double all_moved = 0, all_sizes = 0;
    for (Index k = 0; k < count; ++k) {
      all_moved += *m++;
      all_sizes += *s++;
    }
    found.push_back({std::sqrt(all_moved), std::sqrt(all_sizes)});
  }
  return found;
}

}  // namespace gradwell

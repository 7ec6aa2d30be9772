// Kernels of a device's table that nothing in Python calls by itself, beside plain loops. Prints what differs.
#include <dlfcn.h>

#include <cmath>
#include <cstdio>
#include <vector>

#include "gradwell/device.h"

using namespace gradwell;

namespace {

int differences = 0;

void expect(bool holds, const char* what, const char* type, Index rows, Index columns, double got, double wanted) {
  if (holds) return;
  ++differences;
  std::printf("%s of %s (%ld, %ld): %.17g, not %.17g\n", what, type, long(rows), long(columns), got, wanted);
}

bool close(double a, double b) {
  return a == b || std::fabs(a - b) <= 1e-12 * std::fmax(std::fabs(a), std::fabs(b));
}

// Numbers between -1 and 1 with some that are zero, NaN or infinite.
template <class T>
std::vector<T> numbers(Index count, std::uint64_t seed, bool finite) {
  std::vector<T> made;
  for (Index k = 0; k < count; ++k) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    const double x = static_cast<double>(seed >> 11) / 4503599627370496.0 - 1;
    const auto rare = (seed >> 32) % 101;
    made.push_back(static_cast<T>(rare == 0 ? 0 : (finite || rare > 3 ? x : (rare == 1 ? NAN : INFINITY))));
  }
  return made;
}

template <class T>
void pieces(const StatisticsKernels<T>& kernels, const char* type, Matrix<const T> x) {
  const Pieces cut = pieces_of(x.rows, x.columns);
  std::vector<StatisticsPart<T>> parts(static_cast<std::size_t>(cut.count));
  std::vector<double> norms(parts.size());
  kernels.measure_parts({1, true}, x, parts.data());
  kernels.norms({1, true}, x, norms.data());
  double whole = 0, sum = 0;
  Index nans = 0, counted = 0;
  for (Index k = 0; k < cut.count; ++k) {
    const Matrix<const T> own = piece(x, cut, k);
    const StatisticsPart<T>& part = parts[static_cast<std::size_t>(k)];
    double squares = 0;
    Index odd = 0;
    for (Index i = 0; i < own.rows; ++i)
      for (Index j = 0; j < own.columns; ++j) {
        const double value = static_cast<double>(own.data[i * own.stride + j]);
        if (std::isfinite(value)) squares += value * value;
        if (std::isfinite(value)) sum += value;
        odd += !std::isfinite(value);
        nans += std::isnan(value);
      }
    for (int bin = part.low; bin <= part.high; ++bin) counted += part.bins[bin];
    counted += part.zeros + part.nans + part.infs;
    whole += squares;
    expect(close(norms[static_cast<std::size_t>(k)], std::sqrt(squares)), "norm", type, own.rows, own.columns,
           norms[static_cast<std::size_t>(k)], std::sqrt(squares));
    expect(part.nans + part.infs == odd, "non-finite", type, own.rows, own.columns, part.nans + part.infs, double(odd));
  }
  std::vector<std::uint64_t> histogram(exponent_bins);
  const Statistics all = kernels.merge(parts.data(), cut.count, histogram.data());
  expect(counted == x.rows * x.columns, "bins", type, x.rows, x.columns, double(counted), double(x.rows * x.columns));
  expect(all.nans == nans, "merged NaNs", type, x.rows, x.columns, double(all.nans), double(nans));
  // What cannot be said where no element is finite is NaN; nothing at all has the norm 0.
  const double n = static_cast<double>(all.count - all.nans - all.infs);
  const bool norm_right = n > 0 || all.count == 0 ? close(all.norm, std::sqrt(whole)) : std::isnan(all.norm);
  expect(norm_right, "merged norm", type, x.rows, x.columns, all.norm, std::sqrt(whole));
  const bool mean_right = n > 0 ? std::fabs(all.mean * n - sum) <= 1e-12 * n : std::isnan(all.mean);
  expect(mean_right, "merged mean", type, x.rows, x.columns, all.mean, sum / n);
}

template <class T>
void changes(const StatisticsKernels<T>& kernels, const char* type, Index count) {
  const std::vector<T> now = numbers<T>(count, 1, true), was = numbers<T>(count, 2, true);
  std::vector<T> before = was;
  const Index chunks = (count + part_elements - 1) / part_elements;
  std::vector<double> moved(static_cast<std::size_t>(chunks)), sizes(moved.size());
  kernels.changes({1, true}, count, now.data(), before.data(), moved.data(), sizes.data());
  double apart = 0, size = 0, apart_found = 0, size_found = 0;
  for (std::size_t k = 0; k < now.size(); ++k) {
    const double difference = static_cast<double>(now[k]) - static_cast<double>(was[k]);
    apart += difference * difference;
    size += static_cast<double>(was[k]) * static_cast<double>(was[k]);
  }
  for (std::size_t k = 0; k < moved.size(); ++k) {
    apart_found += moved[k];
    size_found += sizes[k];
  }
  expect(close(apart, apart_found), "change", type, 1, count, apart_found, apart);
  expect(close(size, size_found), "size before", type, 1, count, size_found, size);
  expect(before == now, "what is kept", type, 1, count, 0, 0);
}

// tanh from its output: f' = 1 - y^2, next to nothing where |y| > sqrt(0.99).
template <class T>
void saturation(const ActivationKernels<T>& kernels, const char* type, Index rows, Index columns) {
  std::vector<T> y = numbers<T>(rows * columns, 3, true);
  for (Index k = 0; k < rows * columns; ++k)
    if (k % columns % 3 == 1) y[static_cast<std::size_t>(k)] = T(-1);
  std::vector<typename SameSize<T>::Integer> alive(static_cast<std::size_t>((columns + 15) / 16 * 16));
  const Derivative<T> of = {{ActivationKind::tanh, 0}, Saved::output, {y.data(), rows, columns, columns}};
  const Index found = kernels.saturation({1, true}, of, alive.data());
  std::vector<bool> lives(static_cast<std::size_t>(columns));
  Index flat = 0;
  for (Index k = 0; k < rows * columns; ++k) {
    const T value = y[static_cast<std::size_t>(k)];
    const bool next_to_nothing = T(1) - value * value < T(0.01);
    flat += next_to_nothing;
    if (!next_to_nothing) lives[static_cast<std::size_t>(k % columns)] = true;
  }
  expect(found == flat, "saturated", type, rows, columns, double(found), double(flat));
  for (std::size_t j = 0; j < lives.size(); ++j)
    expect((alive[j] != 0) == lives[j], "alive", type, rows, columns, double(alive[j]), lives[j]);
}

template <class T>
void check(const Kernels<T>& kernels, const char* type) {
  for (const Index rows : {0, 1, 5, 16, 33})
    for (const Index columns : {1, 30, 257, 5000})
      for (const Index gap : {0, 3})
        for (const bool finite : {true, false}) {
          const std::vector<T> all = numbers<T>(rows * (columns + gap) + 1, 4, finite);
          pieces<T>(kernels.statistics, type, {all.data(), rows, columns, columns + gap});
        }
  for (const Index count : {0, 1, 4095, 4096, 4097, 20000}) changes<T>(kernels.statistics, type, count);
  for (const Index rows : {0, 1, 7, 100, 700})
    for (const Index columns : {1, 10, 30, 256, 257, 700}) saturation<T>(kernels.activation, type, rows, columns);
}

}  // namespace

int main(int, char** arguments) {
  void* const library = dlopen(arguments[1], RTLD_NOW);
  if (!library) return std::printf("%s\n", dlerror());
  const auto entry = reinterpret_cast<DeviceEntry>(dlsym(library, device_entry));
  Kernels<float> single = {};
  Kernels<double> wide = {};
  entry()->fill_float(single);
  entry()->fill_double(wide);
  check(single, "float32");
  check(wide, "float64");
  return differences > 0;
}

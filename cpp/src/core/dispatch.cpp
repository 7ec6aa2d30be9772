// Which CPU level runs: the one place that knows all of them.
#include <cstdlib>
#include <stdexcept>

#include "gradwell/kernels.h"

namespace gradwell {

#define GRADWELL_DECLARE_LEVEL(level)                        \
  namespace level {                                          \
  template <class T>                                         \
  void fill_table(Kernels<T>& table);                        \
  extern template void fill_table<float>(Kernels<float>&);   \
  extern template void fill_table<double>(Kernels<double>&); \
  }

#ifdef GRADWELL_ONE_LEVEL
GRADWELL_DECLARE_LEVEL(cpu_baseline)
#else
GRADWELL_DECLARE_LEVEL(cpu_v2)
GRADWELL_DECLARE_LEVEL(cpu_v3)
GRADWELL_DECLARE_LEVEL(cpu_v4)
#endif

namespace {

struct Level {
  const char* name;
  bool runs;
  void (*fill_float)(Kernels<float>&);
  void (*fill_double)(Kernels<double>&);
};

std::vector<Level> levels() {
#ifdef GRADWELL_ONE_LEVEL
  return {{"baseline", true, cpu_baseline::fill_table<float>, cpu_baseline::fill_table<double>}};
#else
  __builtin_cpu_init();
  const bool v2 = __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt");
  const bool v3 = v2 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                  __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
  const bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                  __builtin_cpu_supports("avx512vl");
  return {{"v2", v2, cpu_v2::fill_table<float>, cpu_v2::fill_table<double>},
          {"v3", v3, cpu_v3::fill_table<float>, cpu_v3::fill_table<double>},
          {"v4", v4, cpu_v4::fill_table<float>, cpu_v4::fill_table<double>}};
#endif
}

template <class T>
Kernels<T> table;
std::string chosen;

}  // namespace

template <>
const Kernels<float>& kernels<float>() {
  return table<float>;
}
template <>
const Kernels<double>& kernels<double>() {
  return table<double>;
}

std::string level_name() {
  return chosen;
}

std::vector<std::string> runnable_levels() {
  std::vector<std::string> names;
  for (const Level& level : levels())
    if (level.runs) names.emplace_back(level.name);
  return names;
}

void choose_level() {
  const char* wanted = std::getenv("GRADWELL_CPU");
  const Level* best = nullptr;
  const std::vector<Level> all = levels();
  for (const Level& level : all)
    if (level.runs && (!wanted || !*wanted || std::string(wanted) == level.name)) best = &level;
  if (!best) {
    std::string runnable;
    for (const std::string& name : runnable_levels()) runnable += " " + name;
    throw std::runtime_error(wanted && *wanted
                                 ? "GRADWELL_CPU=" + std::string(wanted) + ", but this CPU runs:" + runnable
                                 : std::string("this CPU lacks SSE4.2, which every level of gradwell needs"));
  }
  best->fill_float(table<float>);
  best->fill_double(table<double>);
  chosen = best->name;
}

}  // namespace gradwell

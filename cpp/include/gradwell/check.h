// One way to refuse bad input: an exception whose text names the operation, the argument and the values.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

namespace gradwell {

// Wrong shape, value or name: ValueError in Python.
struct ValueError : std::invalid_argument {
  using std::invalid_argument::invalid_argument;
};

// Wrong kind of object or dtype: TypeError in Python.
struct TypeError : std::invalid_argument {
  using std::invalid_argument::invalid_argument;
};

template <class Error = ValueError, class... Parts>
[[noreturn]] void fail(const char* operation, const Parts&... parts) {
  std::ostringstream text;
  text << '[' << operation << "] ";
  (text << ... << parts);
  throw Error(text.str());
}

template <class Error = ValueError, class... Parts>
void check(bool holds, const char* operation, const Parts&... parts) {
  if (!holds) fail<Error>(operation, parts...);
}

}  // namespace gradwell

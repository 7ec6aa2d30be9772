// Shared libraries that are loaded while the program runs.
#pragma once

#include <string>

namespace gradwell {

// The function of this name in the library at `path`, which stays loaded; std::runtime_error says why there is none.
void* find_in_library(const std::string& path, const char* name);

}  // namespace gradwell

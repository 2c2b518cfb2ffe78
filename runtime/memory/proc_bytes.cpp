#include "runtime/memory/proc_bytes.h"

#include <fstream>
#include <string>

namespace softmoe {

std::optional<int64_t> proc_bytes(const char* path, std::string_view key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(key)) {
      return std::stoll(line.substr(key.size())) * 1024;
    }
  }
  return std::nullopt;
}

}  // namespace softmoe

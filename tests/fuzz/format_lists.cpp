#include "fuzz/format_lists.h"

#include <fstream>
#include <sstream>

namespace softmoe::fuzz {

std::string file_text(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

void write_bytes(const std::string& bytes, const std::filesystem::path& path) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

void prepare_nothing(const std::filesystem::path& /*folder*/) {}

}  // namespace softmoe::fuzz

#include "support/temporary_folder.h"

#include <cstdlib>
#include <stdexcept>

namespace softmoe::test {

TemporaryFolder::TemporaryFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "softmoe-test-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) {
    throw std::runtime_error("cannot make a temporary folder");
  }
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::filesystem::path fixture(const std::string& name) {
  return std::filesystem::path(SOFTMOE_FIXTURES) / name;
}

}  // namespace softmoe::test

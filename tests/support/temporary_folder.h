#pragma once

#include <filesystem>
#include <string>

namespace softmoe::test {

/// A new folder; it is removed with all its files.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

/// A file of tests/fixtures.
std::filesystem::path fixture(const std::string& name);

}  // namespace softmoe::test

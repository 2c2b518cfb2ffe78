#include "io/file_error.h"

#include "core/error.h"

namespace softmoe {

void throw_read_error(const std::filesystem::path& path, const std::string& reason) {
  throw InputError("cannot read " + path.string() + ": " + reason);
}

void throw_read_error(const std::filesystem::path& path, int error_number) {
  throw_read_error(path, system_error_text(error_number));
}

void throw_write_error(const std::filesystem::path& path, const std::string& reason) {
  throw InputError("cannot write " + path.string() + ": " + reason);
}

void throw_write_error(const std::filesystem::path& path, int error_number) {
  throw_write_error(path, system_error_text(error_number));
}

int64_t file_length(const std::filesystem::path& path) {
  std::error_code error;
  const auto bytes = std::filesystem::file_size(path, error);
  if (error) {
    throw_read_error(path, error.value());
  }
  return static_cast<int64_t>(bytes);
}

}  // namespace softmoe

#include "core/atomic_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <sstream>

#include "core/error.h"

namespace softmoe {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void throw_write_error(const fs::path& path, int error_number) {
  throw InputError("cannot write " + path.string() + ": " + system_error_text(error_number));
}

void flush_to_disk(const fs::path& path, const fs::path& named) {
  const int file = ::open(path.c_str(), O_RDONLY);
  if (file < 0 || ::fsync(file) != 0) {
    const int error_number = errno;
    if (file >= 0) {
      ::close(file);
    }
    throw_write_error(named, error_number);
  }
  ::close(file);
}

}  // namespace

void write_atomically(const fs::path& path, const std::function<void(const fs::path&)>& write) {
  fs::path temporary = path;
  temporary += ".tmp" + std::to_string(::getpid());
  std::error_code error;
  if (path.has_parent_path()) {
    fs::create_directories(path.parent_path(), error);
    if (error) {
      throw_write_error(path, error.value());
    }
  }
  try {
    write(temporary);
    flush_to_disk(temporary, path);
    fs::rename(temporary, path, error);
    if (error) {
      throw_write_error(path, error.value());
    }
  } catch (...) {
    fs::remove(temporary, error);
    throw;
  }
}

void write_text_file(const fs::path& path, const std::string& text) {
  write_atomically(path, [&](const fs::path& temporary) {
    errno = 0;
    std::ofstream file(temporary, std::ios::binary);
    file << text;
    file.close();
    if (!file) {
      throw_write_error(path, errno);
    }
  });
}

std::string read_text_file(const fs::path& path) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (!file || fs::is_directory(path) || !(text << file.rdbuf())) {
    if (file && !fs::is_directory(path) && fs::file_size(path) == 0) {
      return "";
    }
    throw InputError("cannot read " + path.string() + ": " +
                     (fs::is_directory(path) ? "it is a folder" : system_error_text(errno)));
  }
  return text.str();
}

}  // namespace softmoe

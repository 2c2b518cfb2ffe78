#include "io/append_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "io/file_error.h"

namespace softmoe {

AppendFile::AppendFile(const std::filesystem::path& path, int64_t keep)
    : path_(path), file_(::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666)) {
  struct stat status {};
  if (file_ < 0 || ::fstat(file_, &status) != 0) {
    const int error_number = errno;
    if (file_ >= 0) {
      ::close(file_);
    }
    throw_write_error(path_, error_number);
  }
  size_ = status.st_size;
  try {
    cut(keep);
  } catch (...) {
    ::close(file_);
    throw;
  }
}

AppendFile::AppendFile(AppendFile&& other) noexcept
    : path_(std::move(other.path_)), file_(std::exchange(other.file_, -1)), size_(other.size_) {}

AppendFile& AppendFile::operator=(AppendFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(file_, other.file_);
  std::swap(size_, other.size_);
  return *this;
}

AppendFile::~AppendFile() {
  if (file_ >= 0) {
    ::close(file_);
  }
}

void AppendFile::append(std::string_view bytes) {
  const int64_t size_after = size_ + static_cast<int64_t>(bytes.size());
  while (!bytes.empty()) {
    const ssize_t written = ::write(file_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) {
      continue;
    }
    if (written <= 0) {
      const int error_number = written < 0 ? errno : ENOSPC;
      // Half a record would spoil the next one; if this fails too, a resume cuts it off.
      [[maybe_unused]] const int rolled_back = ::ftruncate(file_, size_);
      throw_write_error(path_, error_number);
    }
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  size_ = size_after;
}

void AppendFile::cut(int64_t keep) {
  if (keep < size_ && ::ftruncate(file_, keep) != 0) {
    throw_write_error(path_, errno);
  }
  size_ = std::min(size_, keep);
}

void AppendFile::sync() {
  if (::fsync(file_) != 0) {
    throw_write_error(path_, errno);
  }
}

}  // namespace softmoe

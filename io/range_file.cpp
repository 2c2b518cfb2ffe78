#include "io/range_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "io/file_error.h"

namespace softmoe {

RangeFile::RangeFile(const std::filesystem::path& path)
    : path_(path), file_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
  if (file_ < 0) {
    throw_read_error(path, errno);
  }
}

RangeFile::~RangeFile() { ::close(file_); }

bool RangeFile::read(int64_t offset, void* data, int64_t size) const {
  auto* to = static_cast<char*>(data);
  while (size > 0) {
    const ssize_t count = ::pread(file_, to, static_cast<size_t>(size), offset);
    if (count < 0 && errno != EINTR) {
      throw_read_error(path_, errno);
    }
    if (count == 0) {
      return false;
    }
    const auto taken = std::max<ssize_t>(count, 0);
    to += taken;
    offset += taken;
    size -= taken;
  }
  return true;
}

}  // namespace softmoe

#include "io/direct_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

namespace softmoe {
namespace {

/// A block size that all disks and file systems take.
constexpr size_t kBlock = 4096;

}  // namespace

DirectFile::~DirectFile() {
  if (descriptor_ >= 0) {
    ::close(descriptor_);
  }
}

void DirectFile::open(int descriptor) {
#ifdef O_DIRECT
  // By its descriptor, as another file may have taken its name.
  const auto path = "/proc/self/fd/" + std::to_string(descriptor);
  descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECT);
#endif
}

size_t DirectFile::read(int64_t offset, void* data, size_t bytes) const {
  const auto block = static_cast<int64_t>(kBlock);
  if (!is_open() || offset % block != 0 || reinterpret_cast<uintptr_t>(data) % kBlock != 0) {
    return 0;
  }
  const size_t whole = bytes / kBlock * kBlock;
  size_t done = 0;
  while (done < whole && done % kBlock == 0) {
    const ssize_t got = ::pread(descriptor_, static_cast<char*>(data) + done, whole - done,
                                offset + static_cast<int64_t>(done));
    if (got <= 0) {
      break;
    }
    done += static_cast<size_t>(got);
  }
  return done;
}

double cached_share(int descriptor, int64_t bytes) {
  if (bytes <= 0) {
    return 1;
  }
  const auto size = static_cast<size_t>(bytes);
  void* const mapped = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, descriptor, /*offset=*/0);
  if (mapped == MAP_FAILED) {
    return 1;
  }
  const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  std::vector<unsigned char> pages((size + page - 1) / page);
  const bool known = ::mincore(mapped, size, pages.data()) == 0;
  ::munmap(mapped, size);
  if (!known) {
    return 1;
  }
  const auto cached =
      std::count_if(pages.begin(), pages.end(), [](auto flags) { return flags & 1; });
  return static_cast<double>(cached) / static_cast<double>(pages.size());
}

}  // namespace softmoe

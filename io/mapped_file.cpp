#include "io/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "io/file_error.h"

namespace softmoe {
namespace {

namespace fs = std::filesystem;

/// Owns the descriptor of an open file. Opening a pipe does not wait for its writer.
struct Descriptor {
  int number = -1;
  explicit Descriptor(const fs::path& path)
      : number(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {}
  ~Descriptor() {
    if (number >= 0) {
      ::close(number);
    }
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
};

}  // namespace

std::shared_ptr<MappedFile> MappedFile::open(const fs::path& path, ReadAhead read_ahead) {
  const Descriptor file(path);
  struct stat status {};
  if (file.number < 0 || ::fstat(file.number, &status) != 0) {
    throw_read_error(path, errno);
  }
  if (!S_ISREG(status.st_mode)) {
    throw_read_error(path, S_ISDIR(status.st_mode) ? "it is a folder" : "it is no ordinary file");
  }
  std::shared_ptr<MappedFile> mapped(new MappedFile);
  if (status.st_size == 0) {
    return mapped;
  }
  const auto bytes = static_cast<size_t>(status.st_size);
  // Private pages are made only when something is written, so no memory is reserved for them.
  void* data =
      ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, file.number, 0);
  if (data == MAP_FAILED) {
    throw_read_error(path, errno);
  }
  if (read_ahead == ReadAhead::kWhole) {
    ::madvise(data, bytes, MADV_WILLNEED);
  }
  mapped->data_ = static_cast<char*>(data);
  mapped->size_ = status.st_size;
  return mapped;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) {
    ::munmap(data_, static_cast<size_t>(size_));
  }
}

torch::Tensor mapped_tensor(const std::shared_ptr<MappedFile>& file, int64_t offset,
                            torch::IntArrayRef sizes, torch::Dtype dtype) {
  const bool is_bool = dtype == torch::kBool;
  const auto plain = torch::TensorOptions(is_bool ? torch::kUInt8 : dtype);
  const auto item = static_cast<int64_t>(c10::elementSize(dtype));
  const int64_t elements = c10::multiply_integers(sizes);
  TORCH_CHECK_VALUE(
      offset >= 0 && offset <= file->size() && elements <= (file->size() - offset) / item,
      "mapped_tensor: ", elements, " elements of ", dtype, " at ", offset, " of ", file->size(),
      " bytes");
  if (elements == 0) {
    return torch::empty(sizes, dtype);
  }
  char* data = file->data() + offset;
  if (is_bool || reinterpret_cast<uintptr_t>(data) % static_cast<size_t>(item)) {
    auto copy = torch::empty(sizes, plain);
    std::memcpy(copy.data_ptr(), data, copy.nbytes());
    return is_bool ? copy.ne(0) : copy;
  }
  return torch::from_blob(
      data, sizes, [file](void*) {}, plain);
}

}  // namespace softmoe

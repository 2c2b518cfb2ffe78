#pragma once
/// Files as memory, without a copy.

#include <torch/types.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string_view>

namespace softmoe {

/// How much of a file the system reads before its pages are used.
enum class ReadAhead { kWhole, kNone };

/// A file whose pages the system reads when they are used. Writing to the memory changes private
/// copies of pages, never the file. The file must not be changed in place while it is mapped; it
/// may be replaced by another, as write_atomically() does.
class MappedFile {
 public:
  /// Maps an ordinary file; throws InputError that names it.
  static std::shared_ptr<MappedFile> open(const std::filesystem::path& path,
                                          ReadAhead read_ahead = ReadAhead::kWhole);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  int64_t size() const { return size_; }
  std::string_view bytes() const { return {data_, static_cast<size_t>(size_)}; }
  char* data() { return data_; }

 private:
  MappedFile() = default;

  char* data_ = nullptr;
  int64_t size_ = 0;
};

/// The tensor of `sizes` at `offset` of a file. It uses the bytes of the file itself and keeps the
/// mapping alive; bytes that are not aligned for `dtype` are copied, and so are bools, since bytes
/// other than 0 and 1 are no bools. Throws c10::ValueError if the bytes do not lie in the file.
torch::Tensor mapped_tensor(const std::shared_ptr<MappedFile>& file, int64_t offset,
                            torch::IntArrayRef sizes, torch::Dtype dtype);

}  // namespace softmoe

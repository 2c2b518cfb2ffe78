#pragma once
/// Whole files in memory without a copy.

#include <torch/types.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string_view>

namespace softmoe {

/// Whether the system shall read a file before its pages are used.
enum class ReadAhead { kWhole, kNone };

/// A file whose pages the system reads as they are used, from its cache where they are there.
/// Writing to the memory changes private copies of pages, never the file. The file must not be
/// changed in place while it is mapped; replacing it by another (as write_atomically() does) is
/// fine.
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

/// The tensor of `sizes` at `offset` of a file: its very bytes, which keep the mapping alive, or a
/// copy where they are not aligned for the dtype. Bools are copied too, as any byte but 0 and 1
/// would be none. The bytes must lie in the file.
torch::Tensor mapped_tensor(const std::shared_ptr<MappedFile>& file, int64_t offset,
                            torch::IntArrayRef sizes, torch::Dtype dtype);

}  // namespace softmoe

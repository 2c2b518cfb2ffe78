#pragma once
/// The rows of formats(), by what the files hold.

#include "fuzz/formats.h"
#include "support/temporary_folder.h"

namespace softmoe::fuzz {

std::vector<Format> tensor_formats();
std::vector<Format> image_formats();
std::vector<Format> dataset_formats();
std::vector<Format> text_formats();
std::vector<Format> vocabulary_formats_to_fuzz();

/// The bytes of a file.
std::string file_text(const std::filesystem::path& path);

/// Makes a file of `bytes`.
void write_bytes(const std::string& bytes, const std::filesystem::path& path);

/// For formats of one file.
void prepare_nothing(const std::filesystem::path& folder);

/// The bytes of a file that `write` makes at the path that it is given.
template <typename Write>
std::string written(const Write& write) {
  const test::TemporaryFolder folder;
  const auto path = folder / "seed";
  write(path);
  return file_text(path);
}

}  // namespace softmoe::fuzz

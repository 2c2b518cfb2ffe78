#pragma once
/// libzip's objects with owners. Private to io.

#include <zip.h>

#include <filesystem>
#include <memory>
#include <string>

namespace softmoe {

struct DiscardZip {
  void operator()(zip_t* archive) const { zip_discard(archive); }
};
struct CloseZipFile {
  void operator()(zip_file_t* file) const { zip_fclose(file); }
};
using ZipHandle = std::unique_ptr<zip_t, DiscardZip>;
using ZipFileHandle = std::unique_ptr<zip_file_t, CloseZipFile>;

/// The system's words for its own failures, libzip's for all others.
std::string zip_error_text(zip_error_t* error);

/// Opens or makes an archive; throws InputError that names `path` and says what was expected:
/// `kind`, such as "an .npz file".
ZipHandle open_zip(const std::filesystem::path& path, int flags, const std::string& kind);

}  // namespace softmoe

#include "io/zip_handle.h"

#include <array>
#include <cerrno>
#include <fstream>

#include "core/error.h"
#include "io/file_error.h"

namespace softmoe {
namespace {

/// Returns true if a file begins with a member, as all archives do that are not empty.
bool begins_as_zip(const std::filesystem::path& path) {
  std::array<char, 2> front{};
  return std::ifstream(path, std::ios::binary).read(front.data(), front.size()) &&
         front == std::array{'P', 'K'};
}

}  // namespace

std::string zip_error_text(zip_error_t* error) {
  if (zip_error_system_type(error) == ZIP_ET_SYS && zip_error_code_system(error) != 0) {
    return system_error_text(zip_error_code_system(error));
  }
  return zip_error_strerror(error);
}

ZipHandle open_zip(const std::filesystem::path& path, int flags, const std::string& kind) {
  int code = 0;
  ZipHandle archive(zip_open(path.c_str(), flags, &code));
  if (archive != nullptr) {
    return archive;
  }
  const int system_code = code == ZIP_ER_NOENT ? ENOENT : errno;
  if (code == ZIP_ER_NOENT || code == ZIP_ER_OPEN || code == ZIP_ER_READ) {
    if ((flags & ZIP_CREATE) != 0) {
      throw_write_error(path, system_code);
    }
    throw_read_error(path, system_code);
  }
  zip_error_t error;
  zip_error_init_with_code(&error, code);
  std::string found = zip_error_strerror(&error);
  zip_error_fini(&error);
  if (code == ZIP_ER_NOZIP || code == ZIP_ER_INCONS) {
    found = begins_as_zip(path) ? "a truncated or damaged one" : "other data";
  }
  std::error_code error_of_status;
  const bool is_folder = std::filesystem::is_directory(path, error_of_status);
  throw InputError(path.string(), kind, is_folder ? "a folder" : found);
}

}  // namespace softmoe

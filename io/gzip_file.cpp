#include "io/gzip_file.h"

#include <zlib.h>

#include <algorithm>
#include <cerrno>

#include "core/error.h"

namespace softmoe {

GzipFile::GzipFile(const std::filesystem::path& path)
    : path_(path), file_(gzopen(path.c_str(), "rb")) {
  if (file_ == nullptr) {
    throw InputError("cannot read " + path.string() + ": " + system_error_text(errno));
  }
  gzbuffer(file_, 1 << 18);
}

GzipFile::~GzipFile() { gzclose(file_); }

size_t GzipFile::read(void* target, size_t count) {
  size_t done = 0;
  while (done < count) {
    const auto part = static_cast<unsigned>(std::min<size_t>(count - done, 1 << 24));
    const int got = gzread(file_, static_cast<char*>(target) + done, part);
    if (got <= 0) {
      break;
    }
    done += static_cast<size_t>(got);
  }
  check();
  return done;
}

bool GzipFile::at_end() {
  uint8_t byte = 0;
  return read(&byte, 1) == 0;
}

void GzipFile::check() {
  int code = Z_OK;
  const char* text = gzerror(file_, &code);
  if (code != Z_OK && code != Z_STREAM_END) {
    throw InputError(path_.string() + ": damaged gzip data: " +
                     (code == Z_ERRNO ? system_error_text(errno) : std::string(text)));
  }
}

}  // namespace softmoe

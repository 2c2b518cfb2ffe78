#include "datasets/image_file.h"

#include <c10/util/Exception.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

#include "core/error.h"
#include "datasets/formats/image_format.h"
#include "datasets/formats/picture_size.h"

namespace softmoe {
namespace {

constexpr uint64_t kFirstBlock = 1 << 16;

[[noreturn]] void throw_too_large(const std::string& name) {
  throw InputError(fmt::format("{}: it has more than {} MiB, the limit of image files", name,
                               kMaxImageFileBytes >> 20));
}

[[noreturn]] void throw_unreadable(const std::string& name, int error_number) {
  throw InputError("cannot read " + name + ": " + system_error_text(error_number));
}

/// Reads until the end of the file, whatever its size was said to be.
std::vector<uint8_t> read_to_end(int file, uint64_t expected, const std::string& name) {
  std::vector<uint8_t> bytes(expected + 1);  // one more byte shows the end
  size_t done = 0;
  for (;;) {
    if (done == bytes.size()) {
      if (done > kMaxImageFileBytes) {
        throw_too_large(name);
      }
      bytes.resize(std::clamp<uint64_t>(2 * done, kFirstBlock, kMaxImageFileBytes + 1));
    }
    const ssize_t count = ::read(file, bytes.data() + done, bytes.size() - done);
    if (count > 0) {
      done += static_cast<size_t>(count);
    } else if (count == 0) {
      bytes.resize(done);
      return bytes;
    } else if (errno != EINTR) {
      throw_unreadable(name, errno);
    }
  }
}

/// A file that is closed at the end.
class OpenedFile {
 public:
  explicit OpenedFile(const std::filesystem::path& path) {
    do {
      number_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    } while (number_ < 0 && errno == EINTR);
    if (number_ < 0) {
      throw_unreadable(path.string(), errno);
    }
  }
  ~OpenedFile() { ::close(number_); }
  OpenedFile(const OpenedFile&) = delete;
  OpenedFile& operator=(const OpenedFile&) = delete;

  int number() const { return number_; }

 private:
  int number_ = -1;
};

/// What `decode` makes of a file of `format`; its errors say what the file is.
template <typename Decode>
auto decode_known(const ImageFormat& format, const Decode& decode) {
  const auto damaged = [&](const std::string& reason) {
    return InputError(fmt::format("damaged {}: {}", format.name, reason));
  };
  try {
    return decode();
  } catch (const UnreadPicture& error) {
    throw InputError(fmt::format("{} {}", format.name, error.what()));
  } catch (const InputError& error) {
    throw damaged(error.what());
  } catch (const std::bad_alloc&) {
    throw InputError("there is not enough memory to decode it");
  } catch (const cv::Exception& error) {
    if (error.code == cv::Error::StsNoMem) {
      throw InputError("there is not enough memory to decode it");
    }
    throw damaged(single_line(error.err));
  } catch (const std::exception& error) {
    throw damaged(single_line(error.what()));
  }
}

/// The format of an image that can be decoded.
const ImageFormat& readable_format(Bytes bytes) {
  if (bytes.empty()) {
    throw InputError("the file is empty");
  }
  const auto* format = find_image_format(bytes);
  if (format == nullptr) {
    const auto content = other_content(bytes);
    throw InputError(content.empty() ? "is no image of a known format"
                                     : "is no image but " + content);
  }
  if (format->decode == nullptr) {
    throw InputError(fmt::format("{}, a format that is not read", format->name));
  }
  return *format;
}

PicturePart decode_part(const ImageFormat& format, Bytes bytes, const PartRequest& request) {
  if (format.decode_part != nullptr) {
    return format.decode_part(bytes, request);
  }
  const auto image = format.decode(bytes);
  return {image, request.choose_box(image.rows, image.cols)};
}

/// What `work` returns; its errors begin with `where`.
template <typename Work>
auto named_by(const std::string& where, const Work& work) {
  try {
    return work();
  } catch (const InputError& error) {
    throw InputError(where + ": " + error.what());
  }
}

}  // namespace

cv::Mat decode_image(std::span<const uint8_t> bytes, const std::string& where) {
  return named_by(where, [&] {
    const auto& format = readable_format(bytes);
    return decode_known(format, [&] { return format.decode(bytes); });
  });
}

PicturePart decode_image_part(std::span<const uint8_t> bytes, const std::string& where,
                              const PartRequest& request) {
  return named_by(where, [&] {
    const auto& format = readable_format(bytes);
    return decode_known(format, [&] { return decode_part(format, bytes, request); });
  });
}

std::vector<uint8_t> read_bytes(int file, const std::string& name) {
  struct stat status {};
  if (::fstat(file, &status) != 0) {
    throw_unreadable(name, errno);
  }
  const auto expected = S_ISREG(status.st_mode) ? static_cast<uint64_t>(status.st_size) : 0;
  if (expected > kMaxImageFileBytes) {
    throw_too_large(name);
  }
  try {
    return read_to_end(file, expected, name);
  } catch (const std::bad_alloc&) {
    throw InputError(name + ": there is not enough memory to read it");
  }
}

std::vector<uint8_t> read_bytes(const std::filesystem::path& path) {
  const OpenedFile file(path);
  return read_bytes(file.number(), path.string());
}

cv::Mat load_image(const std::filesystem::path& path) {
  return decode_image(read_bytes(path), path.string());
}

std::vector<uint8_t> encode_png(const cv::Mat& image) {
  cv::Mat as_stored;  // has its own memory, so `image` does not change
  if (image.channels() == 3) {
    cv::cvtColor(image, as_stored, cv::COLOR_RGB2BGR);
  } else {
    as_stored = image;
  }
  std::vector<uint8_t> bytes;
  TORCH_CHECK_VALUE(cv::imencode(".png", as_stored, bytes), "encode_png: needs 1 or 3 channels");
  return bytes;
}

}  // namespace softmoe

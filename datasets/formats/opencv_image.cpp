#include "datasets/formats/opencv_image.h"

#include <iostream>
#include <opencv2/core/utils/logger.hpp>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

#include "datasets/formats/picture_size.h"

namespace softmoe {
namespace {

/// True in threads whose output on std::cerr is dropped.
thread_local bool is_muted = false;

/// Passes on what is written, except by muted threads.
class MutableBuffer : public std::streambuf {
 public:
  explicit MutableBuffer(std::streambuf* target) : target_(target) {}

 protected:
  int_type overflow(int_type letter) override {
    if (is_muted || traits_type::eq_int_type(letter, traits_type::eof())) {
      return traits_type::not_eof(letter);
    }
    return target_->sputc(traits_type::to_char_type(letter));
  }
  std::streamsize xsputn(const char* text, std::streamsize count) override {
    return is_muted ? count : target_->sputn(text, count);
  }
  int sync() override { return is_muted ? 0 : target_->pubsync(); }

 private:
  std::streambuf* target_;
};

/// Keeps what OpenCV reports on std::cerr, in words of its own source, from the terminal while one
/// exists. OpenCV returns an empty image then.
class Muted {
 public:
  Muted() {
    // Never freed: other static objects may write to std::cerr when the program ends.
    [[maybe_unused]] static const auto* installed = [] {
      cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT);
      auto* buffer = new MutableBuffer(std::cerr.rdbuf());
      std::cerr.rdbuf(buffer);
      return buffer;
    }();
    is_muted = true;
  }
  ~Muted() { is_muted = false; }
  Muted(const Muted&) = delete;
  Muted& operator=(const Muted&) = delete;
};

}  // namespace

cv::Mat decode_with_opencv(Bytes bytes) {
  const Muted muted;
  const cv::Mat view(1, static_cast<int>(bytes.size()), CV_8U, const_cast<uint8_t*>(bytes.data()));
  cv::Mat image = cv::imdecode(view, cv::IMREAD_COLOR | cv::IMREAD_IGNORE_ORIENTATION);
  if (image.empty()) {
    throw UnreadPicture("cannot be decoded: it is damaged or of a kind that is not read");
  }
  cv::cvtColor(image, image, cv::COLOR_BGR2RGB);  // [height, width] x 3
  return image;
}

}  // namespace softmoe

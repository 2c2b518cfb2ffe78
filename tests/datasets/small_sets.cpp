#include "datasets/small_sets.h"

#include <zlib.h>

#include <fstream>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <stdexcept>

#include "core/rng.h"

namespace softmoe::test {

Sample NumberedSet::get(int64_t index) const {
  if (bad.contains(index)) {
    throw InputError(sample_name(index) + ": unreadable");
  }
  if (index == broken) {
    throw std::logic_error("a bug");
  }
  Sample sample{cv::Mat(kHeight, kWidth, CV_8UC1), label(index)};
  for (int i = 0; i < kHeight * kWidth; ++i) {
    sample.image.data[i] = static_cast<uint8_t>(index * 11 + i * 3);
  }
  return sample;
}

std::string NumberedSet::sample_name(int64_t index) const {
  return "numbered[" + std::to_string(index) + "]";
}

void write_file(const std::filesystem::path& path, const std::vector<uint8_t>& bytes) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
}

std::vector<uint8_t> gzipped(const std::vector<uint8_t>& bytes) {
  z_stream stream{};
  constexpr int kGzip = 15 + 16;
  deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, kGzip, 8, Z_DEFAULT_STRATEGY);
  std::vector<uint8_t> packed(deflateBound(&stream, bytes.size()));
  stream.next_in = const_cast<uint8_t*>(bytes.data());
  stream.avail_in = static_cast<unsigned>(bytes.size());
  stream.next_out = packed.data();
  stream.avail_out = static_cast<unsigned>(packed.size());
  deflate(&stream, Z_FINISH);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

std::vector<uint8_t> cut(std::vector<uint8_t> bytes, size_t count) {
  bytes.resize(bytes.size() - count);
  return bytes;
}

void append(std::vector<uint8_t>& bytes, const std::vector<uint8_t>& more) {
  bytes.insert(bytes.end(), more.begin(), more.end());
}

std::vector<uint8_t> idx_bytes(const std::vector<uint32_t>& shape,
                               const std::vector<uint8_t>& values) {
  std::vector<uint8_t> bytes = {0, 0, 8, static_cast<uint8_t>(shape.size())};
  for (const uint32_t size : shape) {
    append(bytes, {static_cast<uint8_t>(size >> 24), static_cast<uint8_t>(size >> 16),
                   static_cast<uint8_t>(size >> 8), static_cast<uint8_t>(size)});
  }
  append(bytes, values);
  return bytes;
}

cv::Mat picture(int height, int width, uint64_t seed) {
  Rng rng(seed);
  const double phase = rng.uniform(0.0, 6.0);
  cv::Mat image(height, width, CV_8UC3);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int channel = 0; channel < 3; ++channel) {
        const double wave = std::sin(0.2 * x + phase + channel) * std::cos(0.15 * y);
        image.at<cv::Vec3b>(y, x)[channel] =
            static_cast<uint8_t>(120.0 + 90.0 * wave + rng.uniform(0.0, 40.0));
      }
    }
  }
  return image;
}

std::vector<uint8_t> jpeg_bytes(const cv::Mat& rgb) {
  cv::Mat stored;
  cv::cvtColor(rgb, stored, cv::COLOR_RGB2BGR);
  std::vector<uint8_t> bytes;
  cv::imencode(".jpg", stored, bytes, {cv::IMWRITE_JPEG_QUALITY, 95});
  return bytes;
}

bool same_pixels(const cv::Mat& a, const cv::Mat& b) {
  return a.size() == b.size() && a.type() == b.type() && cv::norm(a, b, cv::NORM_INF) == 0.0;
}

}  // namespace softmoe::test

#include "datasets/transforms.h"

#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <opencv2/core.hpp>

#include "core/error.h"

namespace softmoe {
namespace {

constexpr int kInceptionTries = 10;  // random boxes outside of the image, then the centre is used

double at_channel(const std::vector<double>& values, size_t channel) {
  return values[values.size() == 1 ? 0 : channel];
}

/// `image` with one channel, by the weights of ITU-R BT.601.
cv::Mat to_gray(const cv::Mat& image) {
  cv::Mat gray(image.rows, image.cols, CV_8UC1);
  for (int y = 0; y < image.rows; ++y) {
    const uint8_t* from = image.ptr(y);
    uint8_t* to = gray.ptr(y);
    for (int x = 0; x < image.cols; ++x, from += 3) {
      to[x] = static_cast<uint8_t>((299 * from[0] + 587 * from[1] + 114 * from[2] + 500) / 1000);
    }
  }
  return gray;
}

}  // namespace

Transform Transform::training(const PreprocessOptions& options) {
  return {options, options.training_crop(), true};
}

Transform Transform::evaluation(const PreprocessOptions& options) {
  return {options, options.evaluation_crop(), false};
}

Transform::Transform(const PreprocessOptions& options, CropMode crop, bool train)
    : options_(options), crop_(crop), hflip_(train ? options.hflip : 0.0) {
  validate(options);
  if (!train && (crop == CropMode::kInception || crop == CropMode::kPadded)) {
    throw UsageError("crop-mode", "center or none: evaluation has no randomness",
                     "'" + enum_name(crop) + "'");
  }
  channels_ = options.input_size[0];
  height_ = options.input_size[1];
  width_ = options.input_size[2];
  for (size_t channel = 0; channel < value_of_.size(); ++channel) {
    const bool used = static_cast<int64_t>(channel) < channels_;
    const double mean = at_channel(options.mean, used ? channel : 0);
    const double deviation = at_channel(options.std, used ? channel : 0);
    for (size_t pixel = 0; pixel < 256; ++pixel) {
      value_of_[channel][pixel] =
          static_cast<float>((static_cast<double>(pixel) / 255.0 - mean) / deviation);
    }
  }
}

void Transform::apply(const Sample& sample, Rng& rng, float* out) const {
  const cv::Mat& image = sample.image;
  TORCH_CHECK_VALUE(image.type() == CV_8UC1 || image.type() == CV_8UC3,
                    "Transform: the image must be uint8 with 1 or 3 channels");
  const cv::Mat source = channels_ == 1 && image.channels() == 3 ? to_gray(image) : image;
  const auto surroundings =
      crop_ == CropMode::kCenter ? Surroundings::kSeen : Surroundings::kIgnored;
  const cv::Mat resized =
      resize_box(source, choose_box(source, rng), static_cast<int>(height_),
                 static_cast<int>(width_), options_.interpolation, surroundings);
  int shift_y = 0;
  int shift_x = 0;
  if (crop_ == CropMode::kPadded) {
    shift_y = static_cast<int>(rng.below(2 * options_.padding + 1) - options_.padding);
    shift_x = static_cast<int>(rng.below(2 * options_.padding + 1) - options_.padding);
  }
  const bool mirror = hflip_ > 0.0 && rng.uniform() < hflip_;
  write_floats(resized, mirror, shift_y, shift_x, out);
}

Box Transform::choose_box(const cv::Mat& image, Rng& rng) const {
  switch (crop_) {
    case CropMode::kInception:
      return inception_box(image.rows, image.cols, rng);
    case CropMode::kCenter:
      return center_box(image.rows, image.cols);
    default:
      return {0.0, 0.0, static_cast<double>(image.cols), static_cast<double>(image.rows)};
  }
}

Box Transform::inception_box(int height, int width, Rng& rng) const {
  const double area = static_cast<double>(height) * width;
  const double low = std::log(options_.ratio.front());
  const double high = std::log(options_.ratio.back());
  for (int attempt = 0; attempt < kInceptionTries; ++attempt) {
    const double target = area * rng.uniform(options_.scale.front(), options_.scale.back());
    const double ratio = std::exp(rng.uniform(low, high));
    const auto box_width = std::lround(std::sqrt(target * ratio));
    const auto box_height = std::lround(std::sqrt(target / ratio));
    if (box_width > 0 && box_height > 0 && box_width <= width && box_height <= height) {
      const auto left = static_cast<double>(rng.below(width - box_width + 1));
      const auto top = static_cast<double>(rng.below(height - box_height + 1));
      return {left, top, left + static_cast<double>(box_width),
              top + static_cast<double>(box_height)};
    }
  }
  // The largest part in the middle with an allowed aspect ratio.
  const double ratio = static_cast<double>(width) / height;
  const double box_width = std::min<double>(width, height * options_.ratio.back());
  const double box_height =
      ratio < options_.ratio.front() ? width / options_.ratio.front() : height;
  const double left = std::floor(0.5 * (width - box_width));
  const double top = std::floor(0.5 * (height - box_height));
  return {left, top, left + box_width, top + box_height};
}

// As timm and torchvision do it: the size of the resized image and the offset of the window are
// whole pixels.
Box Transform::center_box(int height, int width) const {
  const double least_height = std::floor(static_cast<double>(height_) / options_.crop_pct);
  const double least_width = std::floor(static_cast<double>(width_) / options_.crop_pct);
  const double factor = std::max(least_height / height, least_width / width);
  const double resized_height = std::max(least_height, std::floor(height * factor));
  const double resized_width = std::max(least_width, std::floor(width * factor));
  const auto whole = [this](double place) {
    return options_.crop_floor ? std::floor(place) : std::nearbyint(place);
  };
  const double top = whole(0.5 * (resized_height - static_cast<double>(height_)));
  const double left = whole(0.5 * (resized_width - static_cast<double>(width_)));
  const double scale_y = height / resized_height;
  const double scale_x = width / resized_width;
  return {left * scale_x, top * scale_y, (left + static_cast<double>(width_)) * scale_x,
          (top + static_cast<double>(height_)) * scale_y};
}

void Transform::write_floats(const cv::Mat& image, bool mirror, int shift_y, int shift_x,
                             float* out) const {
  const int rows = image.rows;
  const int columns = image.cols;
  const int step = image.channels();
  for (int channel = 0; channel < channels_; ++channel) {
    const auto& value_of = value_of_[static_cast<size_t>(channel)];
    for (int y = 0; y < rows; ++y, out += columns) {
      const int row = y + shift_y;
      if (row < 0 || row >= rows) {
        std::fill(out, out + columns, value_of[0]);
        continue;
      }
      const uint8_t* from = image.ptr(row) + (step == 3 ? channel : 0);
      const int begin = std::max(0, -shift_x);
      const int end = std::min(columns, columns - shift_x);
      std::fill(out, out + columns, value_of[0]);
      for (int x = begin; x < end; ++x) {
        out[x] = value_of[from[(x + shift_x) * step]];
      }
      if (mirror) {
        std::reverse(out, out + columns);
      }
    }
  }
}

std::string Transform::text() const {
  std::string text;
  if (crop_ == CropMode::kInception) {
    text = fmt::format("inception crop {:g}-{:g} of the area | ", options_.scale.front(),
                       options_.scale.back());
  } else if (crop_ == CropMode::kCenter) {
    text = fmt::format("center crop {:g} | ", options_.crop_pct);
  }
  text += fmt::format("resize {}x{} {}", height_, width_, enum_name(options_.interpolation));
  if (crop_ == CropMode::kPadded) {
    text += fmt::format(" | padded crop {} px", options_.padding);
  }
  if (hflip_ > 0.0) {
    text += fmt::format(" | flip {:g}", hflip_);
  }
  text += channels_ == 1 ? " | gray" : " | RGB";
  const auto& low = value_of_[0].front();
  const auto& high = value_of_[0].back();
  return text + fmt::format(" | [{:.3g}, {:.3g}]", low, high);
}

}  // namespace softmoe

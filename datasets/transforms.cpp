#include "datasets/transforms.h"

#include <c10/util/Exception.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <opencv2/core.hpp>

#include "core/error.h"
#include "datasets/augment/image_operations.h"
#include "datasets/augment/random_erasing.h"
#include "datasets/image_file.h"

namespace softmoe {
namespace {

constexpr int kInceptionTries = 10;  // random boxes outside of the image, then the centre is used

/// One of `values` for each channel of an image with `channels`; the others get the first value.
std::array<double, 3> by_channel(const std::vector<double>& values, int64_t channels) {
  std::array<double, 3> result{};
  for (size_t channel = 0; channel < result.size(); ++channel) {
    const bool used = static_cast<int64_t>(channel) < channels;
    result[channel] = values[values.size() == 1 || !used ? 0 : channel];
  }
  return result;
}

/// `options` if they are valid; evaluation does not augment, so that it takes any policy.
PreprocessOptions valid(PreprocessOptions options, bool train) {
  if (!train) {
    options.augment = {};
  }
  validate(options);
  return options;
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
    : options_(valid(options, train)),
      crop_(crop),
      hflip_(train ? options.hflip : 0.0),
      vflip_(train ? options.vflip : 0.0),
      jpeg_decoding_(train ? options.jpeg_decoding : JpegDecoding::kFull),
      mean_(by_channel(options.mean, options.input_size[0])),
      std_(by_channel(options.std, options.input_size[0])),
      augmenter_(options_.augment, std::min(options.input_size[1], options.input_size[2]), mean_,
                 options.interpolation) {
  if (!train && (crop == CropMode::kInception || crop == CropMode::kPadded)) {
    throw UsageError("crop-mode", "center or none: evaluation has no randomness",
                     "'" + enum_name(crop) + "'");
  }
  channels_ = options.input_size[0];
  height_ = options.input_size[1];
  width_ = options.input_size[2];
  for (size_t channel = 0; channel < value_of_.size(); ++channel) {
    for (size_t pixel = 0; pixel < 256; ++pixel) {
      value_of_[channel][pixel] =
          static_cast<float>((static_cast<double>(pixel) / 255.0 - mean_[channel]) / std_[channel]);
    }
  }
}

void Transform::apply(const Sample& sample, Rng& rng, float* out) const {
  const cv::Mat& image = sample.image;
  TORCH_CHECK_VALUE(image.type() == CV_8UC1 || image.type() == CV_8UC3,
                    "Transform: the image must be uint8 with 1 or 3 channels");
  write_part({image, choose_box(image.rows, image.cols, rng)}, rng, out);
}

int64_t Transform::apply(const Dataset& dataset, int64_t index, Rng& rng, float* out) const {
  const auto file =
      jpeg_decoding_ == JpegDecoding::kFull ? std::nullopt : dataset.encoded_bytes(index);
  if (!file) {
    const auto sample = dataset.get(index);
    apply(sample, rng, out);
    return sample.label;
  }
  const PartRequest request{
      .choose_box = [&](int height, int width) { return choose_box(height, width, rng); },
      .height = static_cast<int>(height_),
      .width = static_cast<int>(width_),
      .surroundings = surroundings(),
      .is_scalable = jpeg_decoding_ == JpegDecoding::kScaled};
  write_part(decode_image_part(*file, dataset.sample_name(index), request), rng, out);
  return dataset.label(index);
}

void Transform::write_part(const PicturePart& part, Rng& rng, float* out) const {
  const cv::Mat source =
      channels_ == 1 && part.image.channels() == 3 ? to_gray(part.image) : part.image;
  const cv::Mat resized =
      resize_box(source, part.box, static_cast<int>(height_), static_cast<int>(width_),
                 options_.interpolation, surroundings());
  const auto arrangement = draw_arrangement(rng);
  if (augmenter_.is_empty()) {
    write_floats(resized, arrangement, out);
  } else {
    write_floats(augmented(resized, arrangement, rng), {}, out);
  }
  erase_random(options_.augment, channels_, height_, width_, rng, out);
}

Surroundings Transform::surroundings() const {
  return crop_ == CropMode::kCenter ? Surroundings::kSeen : Surroundings::kIgnored;
}

Transform::Arrangement Transform::draw_arrangement(Rng& rng) const {
  Arrangement arrangement;
  if (crop_ == CropMode::kPadded) {
    arrangement.shift_y = static_cast<int>(rng.below(2 * options_.padding + 1) - options_.padding);
    arrangement.shift_x = static_cast<int>(rng.below(2 * options_.padding + 1) - options_.padding);
  }
  arrangement.mirror = hflip_ > 0.0 && rng.uniform() < hflip_;
  arrangement.upside_down = vflip_ > 0.0 && rng.uniform() < vflip_;
  return arrangement;
}

cv::Mat Transform::augmented(const cv::Mat& image, const Arrangement& arrangement, Rng& rng) const {
  cv::Mat arranged = cv::Mat::zeros(image.rows, image.cols, image.type());
  const cv::Rect whole(0, 0, image.cols, image.rows);
  const cv::Rect source = (whole + cv::Point(arrangement.shift_x, arrangement.shift_y)) & whole;
  if (!source.empty()) {
    image(source).copyTo(arranged(source - cv::Point(arrangement.shift_x, arrangement.shift_y)));
  }
  if (arrangement.mirror) {
    cv::flip(arranged, arranged, /*flipCode=*/1);
  }
  if (arrangement.upside_down) {
    cv::flip(arranged, arranged, /*flipCode=*/0);
  }
  return augmenter_.apply(channels_ == 3 ? as_rgb(arranged) : arranged, rng);
}

Box Transform::choose_box(int height, int width, Rng& rng) const {
  switch (crop_) {
    case CropMode::kInception:
      return inception_box(height, width, rng);
    case CropMode::kCenter:
      return center_box(height, width);
    default:
      return {0.0, 0.0, static_cast<double>(width), static_cast<double>(height)};
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

void Transform::write_floats(const cv::Mat& image, const Arrangement& arrangement,
                             float* out) const {
  const auto [mirror, upside_down, shift_y, shift_x] = arrangement;
  const int rows = image.rows;
  const int columns = image.cols;
  const int step = image.channels();
  for (int channel = 0; channel < channels_; ++channel) {
    const auto& value_of = value_of_[static_cast<size_t>(channel)];
    for (int y = 0; y < rows; ++y, out += columns) {
      const int row = (upside_down ? rows - 1 - y : y) + shift_y;
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

cv::Mat Transform::picture(const float* input) const {
  cv::Mat image(static_cast<int>(height_), static_cast<int>(width_),
                channels_ == 1 ? CV_8UC1 : CV_8UC3);
  for (int channel = 0; channel < channels_; ++channel) {
    const auto place = static_cast<size_t>(channel);
    for (int y = 0; y < image.rows; ++y) {
      uint8_t* to = image.ptr(y) + channel;
      for (int x = 0; x < image.cols; ++x, to += channels_) {
        const double pixel = 255.0 * (*input++ * std_[place] + mean_[place]);
        *to = static_cast<uint8_t>(std::clamp(std::nearbyint(pixel), 0.0, 255.0));
      }
    }
  }
  return image;
}

std::string Transform::crop_text() const {
  const auto size =
      height_ == width_ ? std::to_string(height_) : fmt::format("{}x{}", height_, width_);
  const auto filter = options_.interpolation == Interpolation::kBilinear
                          ? ""
                          : "," + enum_name(options_.interpolation);
  const PreprocessOptions usual;
  switch (crop_) {
    case CropMode::kInception:
      return fmt::format(
          "inception_crop({}{}{}{})", size,
          options_.scale == usual.scale
              ? ""
              : fmt::format(",area={:g}-{:g}", options_.scale.front(), options_.scale.back()),
          options_.ratio == usual.ratio
              ? ""
              : fmt::format(",ratio={:g}-{:g}", options_.ratio.front(), options_.ratio.back()),
          filter);
    case CropMode::kCenter:
      return fmt::format("center_crop({},{:g}{})", size, options_.crop_pct, filter);
    case CropMode::kPadded:
      return fmt::format("resize({}{})|padded_crop({})", size, filter, options_.padding);
    default:
      return fmt::format("resize({}{})", size, filter);
  }
}

std::string Transform::range_text() const {
  for (const auto& [low, high] : {std::pair(-1, 1), std::pair(0, 1), std::pair(0, 255)}) {
    const double range = high - low;
    if (options_.mean == std::vector{-low / range} && options_.std == std::vector{1.0 / range}) {
      return fmt::format("value_range({},{})", low, high);
    }
  }
  const auto count = static_cast<std::ptrdiff_t>(channels_);
  return fmt::format("normalize({:g},{:g})", fmt::join(mean_.begin(), mean_.begin() + count, " "),
                     fmt::join(std_.begin(), std_.begin() + count, " "));
}

std::string Transform::text() const {
  std::string text = jpeg_decoding_ == JpegDecoding::kScaled ? "decode_scaled_jpeg|" : "";
  text += (channels_ == 1 ? "to_gray|" : "") + crop_text();
  if (hflip_ > 0.0) {
    text += hflip_ == 0.5 ? "|flip_lr" : fmt::format("|flip_lr({:g})", hflip_);
  }
  if (vflip_ > 0.0) {
    text += vflip_ == 0.5 ? "|flip_ud" : fmt::format("|flip_ud({:g})", vflip_);
  }
  for (const auto& step : augmenter_.steps()) {
    text += "|" + step;
  }
  text += "|" + range_text();
  return text + erasing_text(options_.augment);
}

}  // namespace softmoe

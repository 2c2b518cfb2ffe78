#pragma once
/// Operations on the pixels of uint8 images with 1 (gray) or 3 (RGB) channels, with the results of
/// Pillow's ImageOps and ImageEnhance, bit for bit. None changes its argument.

#include <opencv2/core/mat.hpp>

namespace softmoe {

/// Luma [height, width] by ITU-R BT.601 as Pillow's convert("L") rounds it; gray images stay.
cv::Mat luma(const cv::Mat& image);

/// Stretches each channel to the range from 0 to 255.
cv::Mat autocontrast(const cv::Mat& image);
/// Spreads each channel's histogram evenly.
cv::Mat equalize(const cv::Mat& image);
cv::Mat invert(const cv::Mat& image);
/// Keeps the upper `bits` of 8 bits; 0 gives black, 8 or more the image.
cv::Mat posterize(const cv::Mat& image, int bits);
/// Inverts all values from `threshold` on.
cv::Mat solarize(const cv::Mat& image, double threshold);
/// Adds `amount` to all values below 128.
cv::Mat solarize_add(const cv::Mat& image, int amount);

/// Image.blend: `from` + `share` (`to` - `from`), cut to whole numbers in [0, 255]; shares outside
/// [0, 1] extrapolate. Both have one size and number of channels.
cv::Mat blend(const cv::Mat& from, const cv::Mat& to, double share);

/// Blends of a degenerate image and the image by `factor`: 0 gives the former, 1 the image, and
/// more than 1 goes beyond it. The degenerate images are: gray of the same luma,
cv::Mat adjust_color(const cv::Mat& image, double factor);
/// the mean luma everywhere,
cv::Mat adjust_contrast(const cv::Mat& image, double factor);
/// black,
cv::Mat adjust_brightness(const cv::Mat& image, double factor);
/// and the image smoothed by 3 x 3 pixels.
cv::Mat adjust_sharpness(const cv::Mat& image, double factor);

/// A copy of `image` with three channels; gray is repeated.
cv::Mat as_rgb(const cv::Mat& image);

}  // namespace softmoe

#include <gmock/gmock.h>

#include "datasets/image_file.h"
#include "datasets/small_sets.h"
#include "datasets/transforms.h"

namespace softmoe {
namespace {

/// Options whose floats are the pixels themselves.
PreprocessOptions decoding_options(int64_t channels, CropMode crop) {
  PreprocessOptions options;
  options.input_size = {channels, 66, 71};
  options.train_crop = crop;
  options.mean = {0.0};
  options.std = {1.0 / 255.0};
  return options;
}

/// A set of one JPEG file.
class OneFile : public Dataset {
 public:
  explicit OneFile(std::vector<uint8_t> bytes) : bytes_(std::move(bytes)) {}
  int64_t size() const override { return 1; }
  Sample get(int64_t) const override { return {decode_image(bytes_, "file"), 0}; }
  const std::vector<std::string>& class_names() const override { return names_; }
  std::string sample_name(int64_t) const override { return "file"; }
  std::optional<std::vector<uint8_t>> encoded_bytes(int64_t) const override { return bytes_; }

 private:
  std::vector<uint8_t> bytes_;
  std::vector<std::string> names_{"class"};
};

std::vector<float> input_of(const Transform& transform, const Dataset& set, uint64_t key) {
  Rng rng(key);
  std::vector<float> out(
      static_cast<size_t>(transform.channels() * transform.height() * transform.width()), 1e9F);
  EXPECT_EQ(transform.apply(set, 0, rng, out.data()), 0);
  return out;
}

TEST(TransformOfFiles, CropsWhileDecodingWithEqualFloats) {
  const OneFile set(test::jpeg_bytes(test::picture(230, 310, 4)));
  for (const auto crop : {CropMode::kInception, CropMode::kCenter, CropMode::kNone}) {
    for (const int64_t channels : {1, 3}) {
      auto options = decoding_options(channels, crop);
      options.hflip = 0.5;
      options.jpeg_decoding = JpegDecoding::kFull;
      const auto full = Transform::training(options);
      options.jpeg_decoding = JpegDecoding::kCrop;
      const auto cropped = Transform::training(options);
      for (uint64_t key = 0; key < 20; ++key) {
        ASSERT_EQ(input_of(cropped, set, key), input_of(full, set, key)) << enum_name(crop);
      }
    }
  }
}

TEST(TransformOfFiles, ScaledDecodingIsCloseAndOfTrainingAlone) {
  const OneFile set(test::jpeg_bytes(test::picture(600, 800, 4)));
  auto options = decoding_options(3, CropMode::kInception);
  options.jpeg_decoding = JpegDecoding::kScaled;
  const auto scaled = Transform::training(options);
  EXPECT_TRUE(scaled.text().starts_with("decode_scaled_jpeg|inception_crop(66x71)"));
  const auto scaled_evaluation = Transform::evaluation(options);
  options.jpeg_decoding = JpegDecoding::kFull;
  const auto full = Transform::training(options);
  EXPECT_EQ(input_of(scaled_evaluation, set, 1), input_of(Transform::evaluation(options), set, 1));
  for (uint64_t key = 0; key < 10; ++key) {
    const auto expected = input_of(full, set, key);
    const auto out = input_of(scaled, set, key);
    double sum = 0.0;
    for (size_t i = 0; i < out.size(); ++i) {
      sum += std::abs(out[i] - expected[i]);
    }
    EXPECT_LT(sum / static_cast<double>(out.size()), 6.0);  // the picture has noise of 40
  }
}

}  // namespace
}  // namespace softmoe

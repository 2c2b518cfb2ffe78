#include "datasets/transforms.h"

#include <gmock/gmock.h>

#include <set>

#include "core/error.h"
#include "datasets/small_sets.h"
#include "datasets/transform_tools.h"

namespace softmoe {
namespace {

using test::applied;
using test::pixel_options;
using testing::Each;
using testing::ElementsAre;
using testing::FloatNear;
using testing::HasSubstr;

cv::Mat gray_row(const std::vector<uint8_t>& pixels) {
  return cv::Mat(1, static_cast<int>(pixels.size()), CV_8UC1, const_cast<uint8_t*>(pixels.data()))
      .clone();
}

Box whole(const cv::Mat& image) {
  return {0, 0, static_cast<double>(image.cols), static_cast<double>(image.rows)};
}

/// An image of `height` x `width` whose pixel (y, x) is 16 y + x.
cv::Mat coordinates(int height, int width) {
  cv::Mat image(height, width, CV_8UC1);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      image.at<uint8_t>(y, x) = static_cast<uint8_t>(16 * y + x);
    }
  }
  return image;
}

TEST(Transform, MapsPixelsToTheRangeFromMinusOneToOne) {
  PreprocessOptions options;
  options.input_size = {1, 1, 3};
  const auto out = applied(Transform::evaluation(options), gray_row({0, 51, 255}));
  EXPECT_THAT(out, ElementsAre(-1.0F, FloatNear(-0.6F, 1e-7F), 1.0F));
}

TEST(Transform, NormalisesEachChannelAlone) {
  PreprocessOptions options;
  options.input_size = {3, 1, 1};
  options.mean = {0.1, 0.2, 0.4};
  options.std = {0.5, 0.25, 2.0};
  const cv::Mat image(1, 1, CV_8UC3, cv::Scalar(51, 102, 204));
  EXPECT_THAT(applied(Transform::evaluation(options), image),
              ElementsAre(FloatNear(0.2F, 1e-6F), FloatNear(0.8F, 1e-6F), FloatNear(0.2F, 1e-6F)));
}

TEST(Transform, PutsChannelsFirst) {
  const cv::Mat image = test::picture(3, 5, 1);
  const auto out = applied(Transform::evaluation(pixel_options({3, 3, 5})), image);
  for (int channel = 0; channel < 3; ++channel) {
    for (int y = 0; y < 3; ++y) {
      for (int x = 0; x < 5; ++x) {
        EXPECT_FLOAT_EQ(out[static_cast<size_t>((channel * 3 + y) * 5 + x)],
                        static_cast<float>(image.at<cv::Vec3b>(y, x)[channel]));
      }
    }
  }
}

TEST(Transform, ConvertsChannels) {
  const cv::Mat colour(1, 1, CV_8UC3, cv::Scalar(100, 50, 200));
  EXPECT_THAT(applied(Transform::evaluation(pixel_options({1, 1, 1})), colour),
              ElementsAre(FloatNear(82.0F, 1e-4F)));  // 29.9 + 29.35 + 22.8 = 82.05
  EXPECT_THAT(applied(Transform::evaluation(pixel_options({3, 1, 2})), gray_row({7, 9})),
              ElementsAre(FloatNear(7, 1e-4F), FloatNear(9, 1e-4F), FloatNear(7, 1e-4F),
                          FloatNear(9, 1e-4F), FloatNear(7, 1e-4F), FloatNear(9, 1e-4F)));
}

TEST(Transform, CentreCropKeepsAShareOfTheShorterSide) {
  auto options = pixel_options({1, 4, 4});
  options.crop = CropMode::kCenter;
  options.crop_pct = 0.5;  // the shorter side becomes 8: it is 8 already
  const auto out = applied(Transform::evaluation(options), coordinates(8, 14));
  for (int y = 0; y < 4; ++y) {
    for (int x = 0; x < 4; ++x) {
      EXPECT_FLOAT_EQ(out[static_cast<size_t>(4 * y + x)],
                      static_cast<float>(16 * (y + 2) + x + 5));
    }
  }
}

TEST(Transform, CentreCropEqualsResizingThenCropping) {
  auto options = pixel_options({3, 20, 20});
  options.crop = CropMode::kCenter;
  options.crop_pct = 0.8;  // the shorter side becomes 25
  const cv::Mat image = test::picture(63, 40, 9);
  const auto out = applied(Transform::evaluation(options), image);
  const cv::Mat resized = resize_box(image, whole(image), 39, 25, Interpolation::kBilinear);
  for (int y = 0; y < 20; ++y) {
    for (int x = 0; x < 20; ++x) {
      // 9.5 and 2.5 pixels are left over on each side: rounded to the even number.
      EXPECT_FLOAT_EQ(out[static_cast<size_t>(20 * y + x)],
                      static_cast<float>(resized.at<cv::Vec3b>(y + 10, x + 2)[0]));
    }
  }
}

TEST(Transform, CentreCropIsCutToWholePixelsWhereAsked) {
  auto options = pixel_options({3, 20, 20});
  options.crop = CropMode::kCenter;
  options.crop_pct = 0.8;
  options.crop_floor = true;
  const cv::Mat image = test::picture(67, 40, 9);
  const auto out = applied(Transform::evaluation(options), image);
  const cv::Mat resized = resize_box(image, whole(image), 41, 25, Interpolation::kBilinear);
  // 10.5 and 2.5 pixels are left over.
  EXPECT_FLOAT_EQ(out[0], static_cast<float>(resized.at<cv::Vec3b>(10, 2)[0]));
  const cv::Mat wide = test::picture(47, 40, 9);  // 29 px: 4.5 are left over
  const cv::Mat other = resize_box(wide, whole(wide), 29, 25, Interpolation::kBilinear);
  EXPECT_FLOAT_EQ(applied(Transform::evaluation(options), wide)[0],
                  static_cast<float>(other.at<cv::Vec3b>(4, 2)[0]));
  const cv::Mat odd = test::picture(51, 40, 9);  // 31 px: 5.5 are left over, 6 if rounded
  const cv::Mat third = resize_box(odd, whole(odd), 31, 25, Interpolation::kBilinear);
  EXPECT_FLOAT_EQ(applied(Transform::evaluation(options), odd)[0],
                  static_cast<float>(third.at<cv::Vec3b>(5, 2)[0]));
  options.crop_floor = false;
  EXPECT_FLOAT_EQ(applied(Transform::evaluation(options), odd)[0],
                  static_cast<float>(third.at<cv::Vec3b>(6, 2)[0]));
}

TEST(Transform, InceptionCropIsARandomWindowOfTheGivenArea) {
  auto options = pixel_options({1, 4, 4});
  options.train_crop = CropMode::kInception;
  options.scale = {0.25, 0.25};
  options.ratio = {1.0, 1.0};
  const auto transform = Transform::training(options);
  const auto image = coordinates(8, 8);
  std::set<std::pair<int, int>> corners;
  for (uint64_t key = 0; key < 500; ++key) {
    const auto out = applied(transform, image, key);
    const int corner = static_cast<int>(std::lround(out[0]));
    for (int y = 0; y < 4; ++y) {
      for (int x = 0; x < 4; ++x) {
        ASSERT_FLOAT_EQ(out[static_cast<size_t>(4 * y + x)],
                        static_cast<float>(corner + 16 * y + x));
      }
    }
    corners.emplace(corner / 16, corner % 16);
  }
  EXPECT_EQ(corners.size(), 25);  // every place where the window fits
}

TEST(Transform, InceptionCropKeepsToScaleAndRatio) {
  auto options = pixel_options({1, 1, 2});
  options.train_crop = CropMode::kInception;
  options.scale = {0.2, 0.6};
  options.ratio = {0.5, 2.0};
  options.interpolation = Interpolation::kBox;
  const auto transform = Transform::training(options);
  // Left to right from 0 to 252: the two output pixels are half the window's width apart.
  cv::Mat image(60, 64, CV_8UC1);
  for (int x = 0; x < 64; ++x) {
    image.col(x) = static_cast<uint8_t>(4 * x);
  }
  double narrowest = 1e9;
  double widest = 0.0;
  for (uint64_t key = 0; key < 2000; ++key) {
    const auto out = applied(transform, image, key);
    const double width = (out[1] - out[0]) / 4.0 * 2.0;
    narrowest = std::min(narrowest, width);
    widest = std::max(widest, width);
  }
  const double area = 60.0 * 64.0;
  EXPECT_NEAR(narrowest, std::sqrt(0.2 * area * 0.5), 3.0);
  EXPECT_NEAR(widest, 64.0, 3.0);  // sqrt(0.6 area * 2) would be 67.9: the image ends there
}

TEST(Transform, InceptionCropFallsBackToTheMiddle) {
  auto options = pixel_options({1, 3, 4});
  options.train_crop = CropMode::kInception;
  options.scale = {1.0, 1.0};  // never fits with these ratios
  const auto image = coordinates(3, 14);
  const auto out = applied(Transform::training(options), image);
  EXPECT_EQ(std::lround(out[0]), 5);  // 3 x 4 in the middle of 3 x 14
  EXPECT_EQ(std::lround(out[11]), 32 + 8);
}

TEST(Transform, PaddedCropShiftsOverBlack) {
  auto options = pixel_options({1, 4, 6});
  options.train_crop = CropMode::kPadded;
  options.padding = 2;
  const auto transform = Transform::training(options);
  cv::Mat image = coordinates(4, 6);
  image += 1;  // no black but the padding
  std::set<std::pair<int, int>> shifts;
  for (uint64_t key = 0; key < 600; ++key) {
    const auto out = applied(transform, image, key);
    std::pair<int, int> found{99, 99};
    for (int shift_y = -2; shift_y <= 2; ++shift_y) {
      for (int shift_x = -2; shift_x <= 2; ++shift_x) {
        bool same = true;
        for (int y = 0; y < 4; ++y) {
          for (int x = 0; x < 6; ++x) {
            const bool inside =
                y + shift_y >= 0 && y + shift_y < 4 && x + shift_x >= 0 && x + shift_x < 6;
            const int expected = inside ? image.at<uint8_t>(y + shift_y, x + shift_x) : 0;
            same = same && std::lround(out[static_cast<size_t>(6 * y + x)]) == expected;
          }
        }
        found = same ? std::pair(shift_y, shift_x) : found;
      }
    }
    ASSERT_NE(found.first, 99);
    shifts.insert(found);
  }
  EXPECT_EQ(shifts.size(), 25);
}

TEST(Transform, FlipsWithTheGivenProbability) {
  auto options = pixel_options({1, 1, 3});
  options.hflip = 0.25;
  const auto transform = Transform::training(options);
  const auto image = gray_row({1, 2, 3});
  int flipped = 0;
  for (uint64_t key = 0; key < 4000; ++key) {
    const auto out = applied(transform, image, key);
    ASSERT_EQ(std::lround(out[1]), 2);
    ASSERT_EQ(std::lround(out[0] + out[2]), 4);
    flipped += std::lround(out[0]) == 3 ? 1 : 0;
  }
  EXPECT_NEAR(flipped, 1000, 110);  // four standard deviations
}

TEST(Transform, TurnsUpsideDownWithTheGivenProbability) {
  auto options = pixel_options({1, 3, 2});
  options.vflip = 0.25;
  cv::Mat image(3, 2, CV_8UC1);
  for (int y = 0; y < 3; ++y) {
    for (int x = 0; x < 2; ++x) {
      image.at<uint8_t>(y, x) = static_cast<uint8_t>(10 * y + x);
    }
  }
  for (const bool is_augmented : {false, true}) {
    // Grayscale keeps gray pixels, but lets images pass the augmenter.
    options.augment.grayscale_prob = is_augmented ? 1.0 : 0.0;
    const auto transform = Transform::training(options);
    int turned = 0;
    for (uint64_t key = 0; key < 4000; ++key) {
      const auto out = applied(transform, image, key);
      const bool is_turned = std::lround(out[0]) == 20;
      for (int y = 0; y < 3; ++y) {
        for (int x = 0; x < 2; ++x) {
          ASSERT_EQ(std::lround(out[static_cast<size_t>(2 * y + x)]),
                    10 * (is_turned ? 2 - y : y) + x);
        }
      }
      turned += is_turned ? 1 : 0;
    }
    EXPECT_NEAR(turned, 1000, 110);  // four standard deviations
  }
}

TEST(Transform, EvaluationDrawsNothing) {
  PreprocessOptions options;
  options.input_size = {3, 70, 70};
  options.hflip = 1.0;
  const auto transform = Transform::evaluation(options);
  const auto image = test::picture(90, 120, 2);
  EXPECT_EQ(applied(transform, image, 1), applied(transform, image, 2));
  Rng rng(5);
  Rng untouched(5);
  std::vector<float> out(3 * 70 * 70);
  transform.apply({image, 0}, rng, out.data());
  EXPECT_EQ(rng(), untouched());
}

TEST(Transform, AutoCropsLargeImagesOnly) {
  PreprocessOptions options;
  options.input_size = {1, 28, 28};
  EXPECT_EQ(Transform::training(options).text(), "to_gray|resize(28)|value_range(-1,1)");
  options.input_size = {3, 96, 64};
  EXPECT_EQ(Transform::training(options).text(), "inception_crop(96x64)|value_range(-1,1)");
  EXPECT_EQ(Transform::evaluation(options).text(), "center_crop(96x64,0.875)|value_range(-1,1)");
}

TEST(Transform, NamesEveryStepOfTraining) {
  PreprocessOptions options;
  options.hflip = 0.5;
  options.augment = {.aa = "rand-m9-inc1",
                     .grayscale_prob = 0.1,
                     .reprob = 0.25,
                     .remode = EraseMode::kConst,
                     .recount = 2};
  EXPECT_EQ(Transform::training(options).text(),
            "inception_crop(224)|flip_lr|randaug(2,9,inc)|grayscale(0.1)|value_range(-1,1)|"
            "random_erase(0.25,const,count=2)");
  options.augment = {};
  options.hflip = 0.25;
  options.scale = {0.2, 1.0};
  options.interpolation = Interpolation::kBicubic;
  options.mean = {0.485, 0.456, 0.406};
  options.std = {0.229, 0.224, 0.225};
  EXPECT_EQ(Transform::training(options).text(),
            "inception_crop(224,area=0.2-1,bicubic)|flip_lr(0.25)|"
            "normalize(0.485 0.456 0.406,0.229 0.224 0.225)");
  options.train_crop = CropMode::kPadded;
  EXPECT_THAT(Transform::training(options).text(),
              HasSubstr("resize(224,bicubic)|padded_crop(4)|"));
}

TEST(Transform, AugmentsAfterCropAndMirror) {
  // An operation that keeps places shows the arrangement that is drawn without it.
  auto plain = pixel_options({1, 4, 6});
  plain.train_crop = CropMode::kPadded;
  plain.padding = 2;
  plain.hflip = 0.5;
  auto augmented = plain;
  augmented.augment.grayscale_prob = 1.0;  // leaves gray images as they are
  const auto image = coordinates(4, 6);
  for (uint64_t key = 0; key < 100; ++key) {
    EXPECT_EQ(applied(Transform::training(augmented), image, key),
              applied(Transform::training(plain), image, key));
  }
}

TEST(Transform, FillsWithTheMeanOfEachChannelEvenInGrayImages) {
  auto options = pixel_options({3, 40, 40});
  options.mean = {0.2, 0.4, 0.6};
  options.std = {0.5, 0.5, 0.5};
  options.augment.aa = "rand-m10-n8-p1";
  const cv::Mat white(40, 40, CV_8UC1, cv::Scalar(255));
  bool filled = false;
  for (uint64_t key = 0; key < 60 && !filled; ++key) {
    const auto out = applied(Transform::training(options), white, key);
    filled = std::abs(out[0]) < 0.01 && std::abs(out[1600]) < 0.01 && std::abs(out[3200]) < 0.01;
  }
  EXPECT_TRUE(filled);
}

TEST(Transform, EvaluationNeverAugments) {
  auto options = pixel_options({3, 8, 9});
  const auto image = test::picture(8, 9, 2);
  const auto expected = applied(Transform::evaluation(options), image);
  options.augment = {.aa = "rand-m9-p1",
                     .color_jitter = {0.4},
                     .grayscale_prob = 1.0,
                     .gaussian_blur_prob = 1.0,
                     .reprob = 1.0};
  EXPECT_EQ(applied(Transform::evaluation(options), image), expected);
  EXPECT_EQ(Transform::evaluation(options).text(), "resize(8x9)|value_range(0,255)");
}

TEST(Transform, PictureUndoesTheNormalisation) {
  auto options = pixel_options({3, 8, 9});
  options.mean = {0.485, 0.456, 0.406};
  options.std = {0.229, 0.224, 0.225};
  const auto transform = Transform::evaluation(options);
  const auto image = test::picture(8, 9, 2);
  EXPECT_TRUE(test::same_pixels(transform.picture(applied(transform, image).data()), image));
}

TEST(Transform, RejectsOptionsThatContradictEachOther) {
  const auto rejects = [](auto change, const std::string& name) {
    PreprocessOptions options;
    change(options);
    EXPECT_THAT(test::input_error([&] { Transform::evaluation(options); }), HasSubstr(name));
  };
  rejects([](auto& options) { options.input_size = {4, 10, 10}; }, "input-size");
  rejects([](auto& options) { options.input_size = {3, 10}; }, "input-size");
  rejects([](auto& options) { options.mean = {0.1, 0.2}; }, "mean");
  rejects([](auto& options) { options.std = {0.0}; }, "std");
  rejects([](auto& options) { options.std = {0.5, -1.0, 0.5}; }, "std");
  rejects([](auto& options) { options.mean = {}; }, "mean");
  rejects([](auto& options) { options.mean = {std::nan("")}; }, "mean");
  rejects([](auto& options) { options.scale = {0.5, 0.2}; }, "scale");
  rejects([](auto& options) { options.scale = {0.5, 1.2}; }, "scale");
  rejects([](auto& options) { options.ratio = {}; }, "ratio");
  rejects([](auto& options) { options.crop = CropMode::kInception; }, "crop-mode");
  PreprocessOptions options;
  options.augment.aa = "random";
  EXPECT_THAT(test::input_error([&] { Transform::training(options); }), HasSubstr("aa"));
  EXPECT_NO_THROW(Transform::evaluation(options));
}

}  // namespace
}  // namespace softmoe

#include "analysis/dispatch_maps.h"

#include <gmock/gmock.h>

#include <opencv2/core.hpp>

#include "datasets/transforms.h"
#include "support/tensor_matcher.h"

namespace softmoe {
namespace {

using testing::ElementsAre;

/// 2 x 3 patches, 2 experts of 2 slots.
VitOptions tiny_options(bool class_token = false) {
  VitOptions options;
  options.img_size = {8, 12};
  options.patch_size = 4;
  options.class_token = class_token;
  return options;
}

/// Weights whose value shows their image, token and slot.
torch::Tensor numbered_weights(int64_t batch, int64_t tokens) {
  return torch::arange(batch * tokens * 4, torch::kFloat32).view({batch, tokens, 2, 2});
}

/// Mean brightness of a rectangle of a sheet.
double brightness(const cv::Mat& sheet, int x, int y, int width, int height) {
  const auto mean = cv::mean(sheet(cv::Rect(x, y, width, height)));
  return mean[0] + mean[1] + mean[2];
}

TEST(WeightsOverGrid, PutEachTokenAtItsPatch) {
  const auto weights = numbered_weights(2, 6);
  const auto grid = weights_over_grid(weights, tiny_options());  // [batch, slots, 2, 3]
  ASSERT_EQ(grid.sizes(), torch::IntArrayRef({2, 4, 2, 3}));
  EXPECT_EQ(grid.index({1, 3, 1, 2}).item<float>(), weights.index({1, 5, 1, 1}).item<float>());
  EXPECT_EQ(grid.index({0, 2, 0, 1}).item<float>(), weights.index({0, 1, 1, 0}).item<float>());
}

TEST(WeightsOverGrid, LeaveOutTheClassToken) {
  const auto weights = numbered_weights(1, 7);
  const auto grid = weights_over_grid(weights, tiny_options(/*class_token=*/true));
  EXPECT_EQ(grid.index({0, 0, 0, 0}).item<float>(), weights.index({0, 1, 0, 0}).item<float>());
}

TEST(WeightsOverGrid, RejectAnotherNumberOfTokens) {
  EXPECT_THROW(weights_over_grid(numbered_weights(1, 5), tiny_options()), c10::ValueError);
}

TEST(ChooseSlots, FollowsTheChoice) {
  RoutingRecord record{.dispatch = torch::full({1, 3, 2, 2}, 0.1),
                       .combine = torch::full({1, 3, 2, 2}, 0.2)};
  record.dispatch.index_put_({0, 2, 0, 1}, 0.9);  // slot 1
  record.dispatch.index_put_({0, 0, 1, 0}, 0.5);  // slot 2
  record.combine.index_put_({0, 1, 1, 1}, 0.7);   // slot 3
  record.combine.index_put_({0, 1, 0, 0}, 0.4);   // slot 0
  EXPECT_THAT(choose_slots(record, 2, SlotChoice::kPeaked), ElementsAre(1, 2));
  EXPECT_THAT(choose_slots(record, 2, SlotChoice::kImportant), ElementsAre(0, 3));
  EXPECT_THAT(choose_slots(record, 1, SlotChoice::kImportant), ElementsAre(3));
  EXPECT_THAT(choose_slots(record, 2, SlotChoice::kEven), ElementsAre(0, 2));
  EXPECT_THAT(choose_slots(record, 9, SlotChoice::kEven), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(choose_slots(record, 9, SlotChoice::kPeaked), ElementsAre(0, 1, 2, 3));
}

TEST(ToPictures, UndoesThePreprocessing) {
  PreprocessOptions options;
  options.input_size = {3, 8, 12};
  options.mean = {0.48, 0.45, 0.40};
  options.std = {0.22, 0.23, 0.24};
  cv::Mat image(8, 12, CV_8UC3);
  cv::randu(image, 0, 256);
  auto input = torch::empty({1, 3, 8, 12});
  Rng rng(0);
  Transform::evaluation(options).apply({.image = image, .label = 0}, rng, input.data_ptr<float>());
  const auto pictures = to_pictures(input, options.mean, options.std);
  ASSERT_EQ(pictures.size(), 1U);
  EXPECT_EQ(cv::norm(pictures[0], image, cv::NORM_INF), 0.0);
}

TEST(ToPictures, KeepsGrayImagesGray) {
  const auto pictures = to_pictures(torch::full({2, 1, 3, 5}, 1.0), {0.5}, {0.5});
  ASSERT_EQ(pictures.size(), 2U);
  EXPECT_EQ(pictures[1].channels(), 1);
  EXPECT_EQ(pictures[1].size(), cv::Size(5, 3));
  EXPECT_EQ(pictures[1].at<uint8_t>(2, 4), 255);
}

/// Two gray images; slot 2 of the first looks at the last patch alone.
struct SheetCase {
  std::vector<InspectedImage> images{{cv::Mat(8, 12, CV_8UC1, cv::Scalar(90)), "first"},
                                     {cv::Mat(8, 12, CV_8UC3, cv::Scalar(90, 90, 90)), "second"}};
  RoutingRecord record{.dispatch = torch::full({2, 6, 2, 2}, 1.0 / 6),
                       .combine = torch::full({2, 6, 2, 2}, 0.25)};
  DispatchMapOptions options{.slots = 2, .tile_size = 90};

  SheetCase() {
    record.dispatch.index_put_({0, torch::indexing::Slice(), 1, 0}, 0.0);
    record.dispatch.index_put_({0, 5, 1, 0}, 1.0);
  }
  cv::Mat draw() const {
    return draw_dispatch_sheet(images, record, tiny_options(), {0, 2}, options);
  }
};

TEST(DispatchSheet, ShowsWhereASlotLooks) {
  const SheetCase one;
  const auto sheet = one.draw();
  EXPECT_EQ(sheet.type(), CV_8UC3);
  // Tiles are 90 x 60 px, patches 30 x 30; the last column is slot 2.
  const int tile_x = sheet.cols - 98;
  const double lit = brightness(sheet, tile_x + 65, 24 + 35, 20, 20);
  const double dark = brightness(sheet, tile_x + 5, 24 + 5, 20, 20);
  EXPECT_GT(lit, 3 * dark);
  // The other image's slot looks everywhere alike.
  const int second_y = 24 + 2 * 76 + 16;
  EXPECT_NEAR(brightness(sheet, tile_x + 5, second_y + 5, 20, 20),
              brightness(sheet, tile_x + 65, second_y + 35, 20, 20), 1.0);
}

TEST(DispatchSheet, SmoothMapsChangeBetweenPatches) {
  SheetCase one;
  const auto blocky = one.draw();
  one.options.smooth = true;
  const auto smooth = one.draw();
  EXPECT_EQ(blocky.size(), smooth.size());
  EXPECT_GT(cv::norm(blocky, smooth, cv::NORM_INF), 20.0);
}

TEST(DispatchSheet, GrowsWithImagesAndSlots) {
  SheetCase one;
  const auto two_images = one.draw();
  one.images.pop_back();
  one.record = {.dispatch = one.record.dispatch.slice(0, 0, 1),
                .combine = one.record.combine.slice(0, 0, 1)};
  EXPECT_LT(one.draw().rows, two_images.rows);
  EXPECT_EQ(one.draw().cols, two_images.cols);
}

TEST(DispatchSheet, RejectsARecordOfOtherImages) {
  SheetCase one;
  one.images.pop_back();
  EXPECT_THROW(one.draw(), c10::ValueError);
}

TEST(DispatchSheet, TakesCaptionsOfAnyScript) {
  SheetCase one;
  const auto plain = one.draw();
  one.images[0].caption = "and a caption that is far too long for its tile";
  EXPECT_EQ(one.draw().size(), plain.size());
  one.images[0].caption = "\u0416\U0001F600";
  const auto letters = one.draw();
  EXPECT_GT(cv::norm(letters, plain, cv::NORM_INF), 0.0);
  one.images[0].caption = "U+0416 U+1F600";  // as numbers if no letter can be drawn
  EXPECT_EQ(cv::norm(letters, one.draw(), cv::NORM_INF), 0.0);
  one.images[0].caption = "first \u0416";  // and left out beside what can
  EXPECT_EQ(cv::norm(plain, one.draw(), cv::NORM_INF), 0.0);
}

}  // namespace
}  // namespace softmoe

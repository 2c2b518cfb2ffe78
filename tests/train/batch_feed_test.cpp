#include "train/batch_feed.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "support/tensor_matcher.h"
#include "train/tiny_run.h"

namespace softmoe {
namespace {

using test::Corners;
using test::same_bits;

/// Batches of 4 from 30 images: 7 full ones per epoch, of which updates of 3 use 6.
class BatchFeedTest : public testing::Test {
 protected:
  BatchFeed feed(const Dataset& set, int64_t batches_per_update = 3) const {
    const auto run = test::tiny_run();
    auto options = training_loader(run);
    options.batch_size = 4;
    options.max_bad_images = 0.5;
    return BatchFeed(set, Transform::training(run.preprocess), options, batches_per_update,
                     torch::kCPU);
  }

  Corners set_{30};
};

TEST_F(BatchFeedTest, EpochsHoldWholeUpdates) {
  EXPECT_EQ(feed(set_).updates_per_epoch(), 2);
  EXPECT_EQ(feed(set_, 1).updates_per_epoch(), 7);
  auto batches = feed(set_);
  EXPECT_EQ(batches.take(0).images.sizes(), (std::vector<int64_t>{4, 1, 8, 8}));
  EXPECT_GE(batches.waited_seconds(), 0.0);
}

TEST_F(BatchFeedTest, ABatchIsTheSameHoweverTheRunGotToIt) {
  auto whole = feed(set_);
  std::vector<Batch> batches;
  for (int64_t number = 0; number < 14; ++number) {
    batches.push_back(whole.take(number));
  }
  EXPECT_FALSE(torch::equal(batches[0].indices, batches[6].indices));  // of the next epoch
  for (const int64_t first : {1, 5, 6, 8}) {
    auto rest = feed(set_);
    for (int64_t number = first; number < 14; ++number) {
      const auto batch = rest.take(number);
      const auto& expected = batches.at(static_cast<size_t>(number));
      EXPECT_TRUE(same_bits(batch.images, expected.images)) << number << " from " << first;
      EXPECT_TRUE(same_bits(batch.indices, expected.indices)) << number << " from " << first;
    }
    EXPECT_TRUE(same_bits(rest.take(2).images, batches[2].images)) << first;
  }
}

TEST_F(BatchFeedTest, MixesAlikeHoweverTheRunGotToABatch) {
  const auto run = test::tiny_run();
  auto options = training_loader(run);
  options.batch_size = 4;
  const MixupOptions mixup{.mixup = 0.8, .cutmix = 1.0, .mixup_off_epoch = 1};
  const auto mixed = [&] {
    return BatchFeed(set_, Transform::training(run.preprocess), options, 3, torch::kCPU, mixup, 5);
  };
  auto whole = mixed();
  auto plain = feed(set_);
  std::vector<Batch> batches;
  for (int64_t number = 0; number < 8; ++number) {
    batches.push_back(whole.take(number));
    const bool is_mixed = number < 6;  // the first epoch
    EXPECT_EQ(batches.back().targets.defined(), is_mixed);
    EXPECT_EQ(same_bits(batches.back().images, plain.take(number).images), !is_mixed);
  }
  EXPECT_EQ(batches[3].targets.sizes(), (std::vector<int64_t>{4, 5}));
  auto rest = mixed();
  const auto again = rest.take(4);
  EXPECT_TRUE(same_bits(again.images, batches[4].images));
  EXPECT_TRUE(same_bits(again.targets, batches[4].targets));
  EXPECT_FALSE(torch::equal(batches[1].targets, batches[4].targets));
}

TEST_F(BatchFeedTest, BadImagesAreKept) {
  set_.spoil({3, 17});
  auto first = feed(set_);
  for (int64_t number = 0; number < 60; ++number) {  // ten epochs, each without six images
    first.take(number);
  }
  const auto bad = first.bad_images();
  ASSERT_EQ(bad.size(), 2U);
  EXPECT_THAT(bad.at(0).at("reason").get<std::string>(), testing::HasSubstr("spoilt"));
  auto second = feed(set_);
  second.restore_bad_images(Json::parse(bad.dump()));
  EXPECT_EQ(second.bad_images(), bad);
}

TEST_F(BatchFeedTest, RefusesUpdatesLargerThanTheSet) { EXPECT_THROW(feed(set_, 8), InputError); }

}  // namespace
}  // namespace softmoe

#include "datasets/loader.h"

#include <gmock/gmock.h>

#include <atomic>
#include <thread>

#include "core/error.h"
#include "core/log.h"
#include "datasets/loader_cases.h"
#include "support/tensor_matcher.h"

namespace softmoe {
namespace {

using test::counted;
using test::epoch_of;
using test::expect_same;
using test::indices_of;
using test::NumberedSet;
using test::options_for;
using test::rest_of;
using test::same_bits;
using test::transform;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(Loader, IsDeterministicForAnyNumberOfWorkers) {
  const NumberedSet set(211);
  Loader alone(set, transform(), options_for(0));
  const auto expected = epoch_of(alone, 2);
  ASSERT_EQ(expected.size(), 6);
  for (const auto& [workers, prefetch] : {std::pair{1, 1}, {1, 4}, {2, 3}, {5, 2}, {8, 9}}) {
    Loader loader(set, transform(), options_for(workers, prefetch));
    expect_same(epoch_of(loader, 2), expected);
  }
}

TEST(Loader, AugmentationIsDeterministicForAnyNumberOfWorkers) {
  const NumberedSet set(111);
  PreprocessOptions options;
  options.input_size = {3, 9, 11};
  options.augment = {.aa = "rand-m9-mstd0.5-p1",
                     .color_jitter = {0.4},
                     .grayscale_prob = 0.2,
                     .gaussian_blur_prob = 0.2,
                     .reprob = 0.5};
  const auto augment = Transform::training(options);
  Loader alone(set, augment, options_for(0));
  const auto expected = epoch_of(alone, 1);
  Loader together(set, augment, options_for(4, 2));
  expect_same(epoch_of(together, 1), expected);
}

TEST(Loader, RepeatsImagesWithOtherViews) {
  const NumberedSet set(90);
  auto options = options_for(2);
  options.repeats = 3;
  options.drop_last = true;
  Loader loader(set, transform(), options);
  const auto batches = epoch_of(loader, 1);
  ASSERT_EQ(batches.size(), 2);
  const auto indices = indices_of(batches);
  std::set<int64_t> images(indices.begin(), indices.end());
  EXPECT_EQ(images.size(), 25);  // 74 / 3, rounded up
  bool views_differ = false;
  for (int64_t place = 0; place + 3 <= 37; place += 3) {
    const auto first = static_cast<size_t>(place);
    EXPECT_EQ(indices[first], indices[first + 1]);
    EXPECT_EQ(indices[first], indices[first + 2]);
    views_differ |= !batches[0].images[place].equal(batches[0].images[place + 1]);
  }
  EXPECT_TRUE(views_differ);
  expect_same(epoch_of(loader, 1, 1), {batches[1]});
  EXPECT_NE(indices_of(epoch_of(loader, 2)), indices);
}

TEST(Loader, StartsAnywhere) {
  const NumberedSet set(211);
  Loader loader(set, transform(), options_for(2));
  const auto whole = epoch_of(loader, 1);
  for (int64_t first = 0; first <= 6; ++first) {
    expect_same(epoch_of(loader, 1, first), {whole.begin() + first, whole.end()});
  }
}

TEST(Loader, ShufflesEachEpochAnew) {
  const NumberedSet set(100);
  Loader loader(set, transform(), options_for(1));
  auto first = indices_of(epoch_of(loader, 0));
  auto second = indices_of(epoch_of(loader, 1));
  EXPECT_NE(first, second);
  EXPECT_NE(first, counted(0, 100));
  std::sort(first.begin(), first.end());
  std::sort(second.begin(), second.end());
  EXPECT_EQ(first, counted(0, 100));
  EXPECT_EQ(second, counted(0, 100));
  auto other_seed = options_for(1);
  other_seed.seed = 6;
  Loader other(set, transform(), other_seed);
  EXPECT_NE(indices_of(epoch_of(other, 1)), indices_of(epoch_of(loader, 1)));
}

TEST(Loader, KeepsTheOrderWithoutShuffling) {
  const NumberedSet set(100);
  auto options = options_for(2);
  options.shuffle = false;
  Loader loader(set, transform(), options);
  const auto batches = epoch_of(loader, 3);
  EXPECT_EQ(indices_of(batches), counted(0, 100));
  EXPECT_EQ(batches.back().images.sizes(), (std::vector<int64_t>{26, 1, 5, 7}));
  EXPECT_EQ(batches.back().labels[0].item<int64_t>(), 74 % 3);
}

TEST(Loader, GivesASampleTheSameAugmentationInAnyBatch) {
  const NumberedSet set(60);
  auto options = options_for(1);
  options.shuffle = false;
  Loader large(set, transform(), options);
  options.batch_size = 1;
  Loader small(set, transform(), options);
  const auto one_by_one = epoch_of(small, 4);
  large.start(4, 1);
  const auto batch = large.next();
  ASSERT_TRUE(batch.has_value());
  EXPECT_TRUE(same_bits(batch->images[3], one_by_one[37 + 3].images[0]));
  small.start(5, 37 + 3);
  bool epochs_differ = false;
  for (int64_t i = 37 + 3; i < 60; ++i) {
    const auto again = small.next();
    epochs_differ |= !again->images.equal(one_by_one[static_cast<size_t>(i)].images);
  }
  EXPECT_TRUE(epochs_differ);
}

TEST(Loader, DropsTheLastPartWhenAsked) {
  const NumberedSet set(100);
  auto options = options_for(2);
  options.drop_last = true;
  Loader loader(set, transform(), options);
  EXPECT_EQ(loader.batches_per_epoch(), 2);
  const auto batches = epoch_of(loader, 0);
  ASSERT_EQ(batches.size(), 2);
  EXPECT_EQ(batches.back().labels.size(0), 37);
}

TEST(Loader, GoesOnInAnEndlessSet) {
  NumberedSet set(74);
  set.without_end = true;
  Loader loader(set, transform(), options_for(2));
  EXPECT_EQ(indices_of(epoch_of(loader, 0)), counted(0, 74));
  EXPECT_EQ(indices_of(epoch_of(loader, 3)), counted(3 * 74, 4 * 74));
}

/// Options under which two of 60 images may be bad.
LoaderOptions lenient(int64_t workers) {
  auto options = options_for(workers);
  options.batch_size = 20;
  options.shuffle = false;
  options.max_bad_images = 2.0 / 60;
  return options;
}

TEST(Loader, LeavesOutBadImagesAndNamesThem) {
  NumberedSet set(60);
  set.bad = {3, 25};
  for (const int64_t workers : {0, 3}) {
    Loader loader(set, transform(), lenient(workers));
    std::vector<std::string> lines;
    const auto previous =
        set_log_sink([&lines](const std::string& line) { lines.push_back(line); });
    const auto batches = epoch_of(loader, 0);
    epoch_of(loader, 1);  // known by now: counted and logged once
    set_log_sink(previous);
    auto expected = counted(0, 60);
    std::erase_if(expected, [&set](int64_t index) { return set.bad.contains(index); });
    EXPECT_EQ(indices_of(batches), expected);
    EXPECT_EQ(batches[0].images.size(0), 19);
    EXPECT_EQ(batches[0].labels[3].item<int64_t>(), 4 % 3);
    ASSERT_EQ(loader.bad_images().size(), 2);
    EXPECT_EQ(loader.bad_images()[1].index, 25);
    EXPECT_THAT(loader.bad_images()[1].reason, HasSubstr("numbered[25]"));
    EXPECT_THAT(lines, ElementsAre(HasSubstr("numbered[3]"), HasSubstr("numbered[25]")));
  }
}

/// A set with an image that needs more memory than there is.
class HungrySet : public NumberedSet {
 public:
  using NumberedSet::NumberedSet;
  Sample get(int64_t index) const override {
    if (index == 4) {
      throw std::bad_alloc();
    }
    if (index == 7) {
      throw cv::Exception(cv::Error::StsNoMem, "no memory", "get", "file", 1);
    }
    return NumberedSet::get(index);
  }
};

TEST(Loader, CountsImagesThatNeedTooMuchMemoryAsBad) {
  const HungrySet set(60);
  Loader loader(set, transform(), lenient(2));
  epoch_of(loader, 0);
  ASSERT_EQ(loader.bad_images().size(), 2U);
  EXPECT_THAT(loader.bad_images()[0].reason, HasSubstr("numbered[4]: there is not enough memory"));
  EXPECT_THAT(loader.bad_images()[1].reason, HasSubstr("numbered[7]: there is not enough memory"));
}

TEST(Loader, FillsTheirPlacesWhereBatchesMustBeWhole) {
  NumberedSet set(60);
  set.bad = {3, 40};
  std::vector<Batch> expected;
  for (const int64_t workers : {0, 3}) {
    auto options = lenient(workers);
    options.drop_last = true;
    Loader loader(set, transform(), options);
    const auto batches = epoch_of(loader, 0);
    ASSERT_EQ(batches.size(), 3);
    EXPECT_EQ(batches[0].indices[3].item<int64_t>(), 20);
    EXPECT_EQ(batches[2].indices[0].item<int64_t>(), 0);  // round the end
    EXPECT_EQ(batches[0].labels.size(0), 20);
    expected = workers == 0 ? batches : expected;
    expect_same(batches, expected);
    expect_same(epoch_of(loader, 0, 2), {expected.begin() + 2, expected.end()});
  }
}

TEST(Loader, SkipsABatchOfBadImagesAlone) {
  NumberedSet set(6);
  set.bad = {2, 3};
  auto options = lenient(1);
  options.batch_size = 2;
  options.max_bad_images = 0.5;
  Loader loader(set, transform(), options);
  const auto batches = epoch_of(loader, 0);
  EXPECT_EQ(indices_of(batches), (std::vector<int64_t>{0, 1, 4, 5}));
  EXPECT_EQ(batches.back().number, 2);
}

TEST(Loader, StopsWithTheListPastTheLimit) {
  NumberedSet set(60);
  set.bad = {3, 25, 59};
  for (const int64_t workers : {0, 2}) {
    Loader loader(set, transform(), lenient(workers));
    const auto message = test::input_error([&] { epoch_of(loader, 0); });
    EXPECT_THAT(message, AllOf(HasSubstr("max-bad-images"), HasSubstr("numbered[3]"),
                               HasSubstr("numbered[25]"), HasSubstr("numbered[59]")));
    EXPECT_EQ(message.find('\n'), std::string::npos);
  }
}

TEST(Loader, CountsTheBadImagesOfAnEarlierLoader) {
  NumberedSet set(60);
  set.bad = {25, 59};
  for (const int64_t workers : {0, 2}) {
    Loader loader(set, transform(), lenient(workers));
    loader.restore_bad_images({{.index = 3, .reason = "numbered[3] was bad"},
                               {.index = 25, .reason = "numbered[25] was bad"}});
    EXPECT_EQ(loader.bad_images().size(), 2U);
    const auto message = test::input_error([&] { epoch_of(loader, 0); });
    EXPECT_THAT(message, AllOf(HasSubstr("numbered[3] was bad"), HasSubstr("numbered[25] was bad"),
                               HasSubstr("numbered[59]")));
  }
}

TEST(Loader, EndsWhereNothingCanBeRead) {
  NumberedSet set(7);
  set.bad = {0, 1, 2, 3, 4, 5, 6};
  auto options = lenient(1);
  options.batch_size = 3;
  options.max_bad_images = 1.0;
  Loader left_out(set, transform(), options);
  EXPECT_TRUE(epoch_of(left_out, 0).empty());
  options.drop_last = true;
  Loader filled(set, transform(), options);
  EXPECT_THAT(test::input_error([&] { epoch_of(filled, 0); }), HasSubstr("no readable image"));
}

TEST(Loader, PassesOnOtherErrors) {
  NumberedSet set(100);
  set.broken = 50;
  auto options = options_for(2);
  options.shuffle = false;
  Loader loader(set, transform(), options);
  loader.start(0);
  EXPECT_TRUE(loader.next().has_value());
  EXPECT_THROW(loader.next(), std::logic_error);
  EXPECT_FALSE(loader.next().has_value());
  loader.start(0, 2);
  EXPECT_EQ(rest_of(loader).size(), 1);
}

TEST(Loader, StopsAtAnyTime) {
  const NumberedSet set(500);
  for (int64_t taken = 0; taken < 8; ++taken) {
    auto options = options_for(3, 4);
    options.batch_size = 16;
    Loader loader(set, transform(), options);
    loader.start(0);
    for (int64_t i = 0; i < taken; ++i) {
      loader.next();
    }
    if (taken % 2 == 0) {
      loader.start(1, 3);
      EXPECT_EQ(loader.next()->number, 3);
    }
  }
}

/// Counts how far ahead the loader reads.
class WatchedSet : public NumberedSet {
 public:
  using NumberedSet::NumberedSet;
  Sample get(int64_t index) const override {
    ++count;
    return NumberedSet::get(index);
  }
  mutable std::atomic<int64_t> count = 0;
};

TEST(Loader, PreparesNoMoreThanThePrefetch) {
  const WatchedSet set(1000);
  auto options = options_for(4, 3);
  options.batch_size = 10;
  Loader loader(set, transform(), options);
  loader.start(0);
  loader.next();
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_GE(set.count, 10);
  EXPECT_LE(set.count, 10 + 3 * 10);
}

TEST(Loader, RejectsMisuse) {
  const NumberedSet set(10);
  Loader loader(set, transform(), options_for(1));
  EXPECT_THROW(loader.next(), c10::ValueError);
  const NumberedSet empty(0);
  EXPECT_THROW(Loader(empty, transform(), options_for(1)), UsageError);
  auto options = options_for(1);
  options.batch_size = 0;
  EXPECT_THROW(Loader(set, transform(), options), c10::ValueError);
}

}  // namespace
}  // namespace softmoe

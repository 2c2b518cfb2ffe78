#include "datasets/augment/augment_policy.h"

#include <gmock/gmock.h>

#include <map>

#include "datasets/augment/augment_policy_parser.h"
#include "datasets/small_sets.h"

namespace softmoe {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// How often each result of `policy` of one image appears, by its pixels.
std::map<std::vector<uint8_t>, int> results_of(const AugmentPolicy& policy, const cv::Mat& image,
                                               int count) {
  std::map<std::vector<uint8_t>, int> results;
  for (int key = 0; key < count; ++key) {
    Rng rng(static_cast<uint64_t>(key));
    const auto result = apply_policy(policy, image, 10.0, {}, rng);
    ++results[{result.datastart, result.dataend}];
  }
  return results;
}

AugmentPolicy policy_of(std::vector<std::vector<PolicyOperation>> choices) {
  AugmentPolicy policy;
  policy.choices = std::move(choices);
  return policy;
}

TEST(AugmentPolicy, DrawsEachChoiceEquallyOften) {
  const auto policy =
      policy_of({{{.operation = &augment_operation("Invert")}},
                 {},
                 {{.operation = &augment_operation("SolarizeAdd"), .magnitude = 10.0}}});
  const auto results = results_of(policy, cv::Mat(1, 1, CV_8UC1, cv::Scalar(40)), 3000);
  ASSERT_EQ(results.size(), 3);
  EXPECT_NEAR(results.at({215}), 1000, 110);
  EXPECT_NEAR(results.at({40}), 1000, 110);
  EXPECT_NEAR(results.at({150}), 1000, 110);
}

TEST(AugmentPolicy, AppliesOperationsInTheirOrderWithTheirProbability) {
  const auto policy =
      policy_of({{{.operation = &augment_operation("Invert"), .probability = 0.25},
                  {.operation = &augment_operation("SolarizeAdd"), .magnitude = 10.0}}});
  const auto results = results_of(policy, cv::Mat(1, 1, CV_8UC1, cv::Scalar(40)), 2000);
  ASSERT_EQ(results.size(), 2);
  EXPECT_NEAR(results.at({215}), 500, 80);  // inverted: too bright to be added to
}

TEST(AugmentPolicy, WeightedChoicesAreDrawnOnceEach) {
  auto policy = policy_of({{{.operation = &augment_operation("Invert")}},
                           {{.operation = &augment_operation("Invert")}},
                           {{.operation = &augment_operation("Equalize")}}});
  policy.weights = {0.9, 0.1, 0.0};
  policy.draws = 2;
  const auto results = results_of(policy, cv::Mat(1, 1, CV_8UC1, cv::Scalar(40)), 100);
  EXPECT_EQ(results.at({40}), 100);  // both inversions, never one of them twice
}

TEST(AugmentPolicy, MagnitudesHaveNoiseAndStayInTheirRange) {
  const auto share_at_max = [](double magnitude, double std, double max) {
    const auto policy = policy_of({{{.operation = &augment_operation("SolarizeAdd"),
                                     .magnitude = magnitude,
                                     .magnitude_std = std,
                                     .max_magnitude = max}}});
    const auto results = results_of(policy, cv::Mat(1, 1, CV_8UC1, cv::Scalar(0)), 2000);
    return static_cast<double>(results.rbegin()->second) / 2000.0;
  };
  EXPECT_EQ(share_at_max(9.0, 0.0, 10.0), 1.0);
  EXPECT_NEAR(share_at_max(10.0, 0.5, 10.0), 0.5, 0.1);
  EXPECT_LT(share_at_max(10.0, INFINITY, 10.0), 0.05);
}

TEST(AugmentPolicy, EveryPolicyKeepsSizeAndTypeAndFollowsItsKey) {
  for (const auto* text : {"rand-m9-n3-mstd0.5-inc1", "rand-tweights", "original", "v0r-mstd1",
                           "3a", "ta_wide", "augmix-m5-w4-d2", "rand-m15-mmax30-mstd101"}) {
    const auto policy = parse_augment_policy(text);
    for (const auto& image : {test::picture(12, 17, 5), cv::Mat(7, 5, CV_8UC1, cv::Scalar(80))}) {
      const auto kept = image.clone();
      for (uint64_t key = 0; key < 60; ++key) {
        Rng rng(key);
        Rng again(key);
        const auto result = apply_policy(policy, image, 5.0, {}, rng);
        ASSERT_EQ(result.size(), image.size()) << text;
        ASSERT_EQ(result.type(), image.type()) << text;
        ASSERT_TRUE(test::same_pixels(result, apply_policy(policy, image, 5.0, {}, again)));
      }
      EXPECT_TRUE(test::same_pixels(image, kept)) << text;
    }
  }
}

TEST(AugmentPolicyParser, ReadsTimmsTexts) {
  const auto policy = parse_augment_policy("rand-m9-n3-mstd0.5-inc1-p0.75-mmax20");
  ASSERT_EQ(policy.choices.size(), 15);
  EXPECT_EQ(policy.draws, 3);
  EXPECT_TRUE(policy.weights.empty());
  const auto& posterize = policy.choices[4].front();
  EXPECT_EQ(posterize.operation->name, "PosterizeIncreasing");
  EXPECT_EQ(posterize.magnitude, 9.0);
  EXPECT_EQ(posterize.magnitude_std, 0.5);
  EXPECT_EQ(posterize.probability, 0.75);
  EXPECT_EQ(posterize.max_magnitude, 20.0);
  EXPECT_EQ(policy.text, "randaug(3,9,mstd=0.5,inc,p=0.75,mmax=20)");

  const auto plain = parse_augment_policy("rand");
  EXPECT_EQ(plain.text, "randaug(2,10)");
  EXPECT_EQ(plain.choices[4].front().operation->name, "Posterize");
  EXPECT_TRUE(std::isinf(parse_augment_policy("rand-mstd101").choices[0].front().magnitude_std));
  EXPECT_EQ(parse_augment_policy("rand-t3a").choices.size(), 3);
  EXPECT_EQ(parse_augment_policy("rand-t3aw").weights.size(), 14);
  EXPECT_EQ(parse_augment_policy("rand-m9-n2-mstd0.5-inc1-w0-p0.5").weights.size(), 15);
}

TEST(AugmentPolicyParser, ReadsPoliciesThatWereSearched) {
  const auto original = parse_augment_policy("original-mstd0.5");
  ASSERT_EQ(original.choices.size(), 25);
  EXPECT_EQ(original.choices[0][0].operation->name, "PosterizeOriginal");
  EXPECT_EQ(original.choices[0][0].probability, 0.4);
  EXPECT_EQ(original.choices[0][0].magnitude, 8.0);
  EXPECT_EQ(original.choices[0][1].magnitude_std, 0.5);
  EXPECT_EQ(parse_augment_policy("originalr").choices[0][0].operation->name, "PosterizeIncreasing");
  EXPECT_EQ(parse_augment_policy("v0").choices[12][0].operation->name, "Posterize");
  EXPECT_EQ(parse_augment_policy("v0r").choices[12][0].operation->name, "PosterizeIncreasing");
  EXPECT_EQ(parse_augment_policy("3a").choices[2].size(), 1);
  EXPECT_EQ(parse_augment_policy("ta_wide").choices.size(), 14);
  EXPECT_THAT(parse_augment_policy("ta_wide").choices[10][0].arguments,
              ElementsAre(8, 8, 8, 7, 7, 7, 7, 7, 6, 6, 6, 6, 6, 5, 5, 5, 5, 5, 4, 4, 4, 4, 4, 3, 3,
                          3, 3, 3, 2, 2, 2));
}

TEST(AugmentPolicyParser, NamesThePartThatIsWrong) {
  const auto error = [](const std::string& text) {
    return test::input_error([&] { parse_augment_policy(text); });
  };
  EXPECT_EQ(error("rand-m9-q3"),
            "aa: expected parts that begin with one of m, n, p, mstd, mmax, inc, w, found 'q3' in "
            "'rand-m9-q3'");
  EXPECT_EQ(error("rand-p1.5"),
            "aa: expected p with a number from 0 to 1, found 'p1.5' in 'rand-p1.5'");
  EXPECT_EQ(error("rand-n2.5"),
            "aa: expected n with a whole number from 1 to 100, found 'n2.5' in 'rand-n2.5'");
  EXPECT_THAT(error("ranb-m9"), HasSubstr("one of rand, augmix, ta_wide, original"));
  EXPECT_THAT(error("rand-"), HasSubstr("found ''"));
  EXPECT_THAT(error("rand-m"), HasSubstr("found 'm'"));
  EXPECT_THAT(error("rand-m-9"), HasSubstr("found 'm'"));
  EXPECT_THAT(error("rand-m9x"), HasSubstr("found 'm9x'"));
  EXPECT_THAT(error("rand-m9-m5"), HasSubstr("m once"));
  EXPECT_THAT(error("rand-tnone"), HasSubstr("t followed by one of weights, 3a, 3aw"));
  EXPECT_THAT(error("rand-t3a-tweights"), HasSubstr("t once"));
  EXPECT_THAT(error("rand-t3aw-n15"), HasSubstr("n up to 14"));
  EXPECT_THAT(error("rand-w1"), HasSubstr("found 'w1'"));
  EXPECT_THAT(error("original-m9"), HasSubstr("one of mstd"));
  EXPECT_THAT(error("ta_wide-m9"), HasSubstr("no further parts"));
  EXPECT_THAT(error("augmix-b1"), HasSubstr("one of m, w, d, a, mstd"));
  EXPECT_THAT(error("rand-m\033[2J"), HasSubstr("?[2J"));
}

}  // namespace
}  // namespace softmoe

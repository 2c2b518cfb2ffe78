#include "eval/feature_set.h"

#include "core/error.h"
#include "io/npz.h"
#include "support/temporary_folder.h"
#include "support/tensor_matcher.h"

namespace softmoe {
namespace {

using test::same_bits;
using test::TemporaryFolder;

FeatureSet small_set() {
  return {.name = "small",
          .features = torch::tensor({{1.0F, 2.0F}, {3.0F, 4.0F}, {5.0F, 6.0F}}),
          .labels = torch::tensor({2, 0, 1}, torch::kInt64)};
}

std::string check_message(const FeatureSet& set) {
  try {
    check_features(set);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

TEST(FeatureSet, ComesBackFromItsFile) {
  const TemporaryFolder folder;
  write_features(folder / "set.npz", small_set());
  const auto back = read_features(folder / "set.npz");
  EXPECT_TRUE(same_bits(back.features, small_set().features));
  EXPECT_TRUE(same_bits(back.labels, small_set().labels));
  EXPECT_EQ(back.name, (folder / "set.npz").string());
}

TEST(FeatureSet, ReadsPixelsAndNarrowLabels) {
  const TemporaryFolder folder;
  const auto pixels = torch::arange(2 * 3 * 5, torch::kUInt8).reshape({2, 3, 5});
  write_npz(folder / "pixels.npz",
            {{"features", pixels}, {"labels", torch::tensor({1, 0}, torch::kInt32)}});
  const auto set = read_features(folder / "pixels.npz");
  EXPECT_TRUE(same_bits(set.features, pixels.reshape({2, 15}).to(torch::kFloat32)));
  EXPECT_TRUE(same_bits(set.labels, torch::tensor({1, 0}, torch::kInt64)));
}

TEST(FeatureSet, BadContentsAreNamedInOneLine) {
  auto set = small_set();
  set.labels = torch::tensor({0, 1}, torch::kInt64);
  EXPECT_EQ(check_message(set), "small: labels: expected 3 as features, found 2");

  set = small_set();
  set.labels = torch::tensor({0, -7, 1}, torch::kInt64);
  EXPECT_EQ(check_message(set), "small: labels: expected classes counted from 0, found -7");

  set = small_set();
  set.features[1][0] = NAN;
  set.features[2][1] = INFINITY;
  EXPECT_EQ(check_message(set),
            "small: features: expected finite numbers, found NaN or infinity in 2 of 3 rows, first "
            "in row 1");

  set = small_set();
  set.features = torch::zeros({3, 2, 2});
  EXPECT_EQ(check_message(set),
            "small: features: expected floating-point [examples, dim], found [3, 2, 2] of Float");

  set = small_set();
  set.labels = torch::zeros({3});
  EXPECT_EQ(check_message(set), "small: labels: expected int64 [examples], found [3] of Float");

  set = {
      .name = "none", .features = torch::zeros({0, 4}), .labels = torch::zeros({0}, torch::kInt64)};
  EXPECT_EQ(check_message(set),
            "none: features: expected at least one example and one column, found [0, 4]");
}

TEST(FeatureSet, MissingArrayNamesTheFile) {
  const TemporaryFolder folder;
  write_npz(folder / "half.npz", {{"features", torch::zeros({2, 3})}});
  try {
    read_features(folder / "half.npz");
    FAIL() << "no error";
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(),
                testing::AllOf(testing::HasSubstr("half.npz"), testing::HasSubstr("labels")));
  }
}

}  // namespace
}  // namespace softmoe

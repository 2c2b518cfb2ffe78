#include "train/mixup.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "io/npz.h"
#include "support/temporary_folder.h"
#include "support/tensor_matcher.h"
#include "train/loss.h"

namespace softmoe {
namespace {

using test::all_close;

constexpr int64_t kMixClasses = 4;

/// Six images of 2 x 10 x 12 in which every pixel of image i is i; images that are mixed differ in
/// label.
Batch numbered_batch() {
  const auto rows = torch::arange(6, torch::kFloat32);  // [6]
  return {.images = rows.view({6, 1, 1, 1}).expand({6, 2, 10, 12}).contiguous(),
          .labels = torch::tensor({0, 1, 2, 3, 2, 3}, torch::kInt64),
          .indices = torch::arange(6)};
}

Batch mixed(const MixupOptions& options, uint64_t key) {
  auto batch = numbered_batch();
  Rng rng(key);
  mix_batch(options, kMixClasses, rng, batch);
  return batch;
}

/// The share of itself that each image has kept, from its target: [6].
torch::Tensor kept_shares(const Batch& batch) {
  const auto own = batch.targets.gather(1, batch.labels.unsqueeze(1)).squeeze(1);  // [6]
  return own;
}

/// The means of pixels that follow from the shares that images have kept: [6].
torch::Tensor expected_means(const Batch& batch) {
  const auto rows = torch::arange(6, torch::kFloat32);  // [6]
  const auto kept = kept_shares(batch);                 // [6]
  return rows * kept + rows.flip(0) * (1 - kept);
}

TEST(Mixup, TargetsFollowThePixels) {
  for (const auto mode : {MixupMode::kBatch, MixupMode::kPair, MixupMode::kElem}) {
    for (const auto& options : {MixupOptions{.mixup = 0.8, .mixup_mode = mode},
                                MixupOptions{.cutmix = 1.0, .mixup_mode = mode},
                                MixupOptions{.cutmix_minmax = {0.2, 0.8}, .mixup_mode = mode}}) {
      for (uint64_t key = 0; key < 20; ++key) {
        const auto batch = mixed(options, key);
        EXPECT_TRUE(
            all_close(batch.images.mean({1, 2, 3}), expected_means(batch), {.absolute = 1e-5}))
            << enum_name(mode) << mixing_text(options);
        EXPECT_TRUE(all_close(batch.targets.sum(1), torch::ones(6), {.absolute = 1e-6}));
      }
    }
  }
}

TEST(Mixup, ModesSayWhatIsMixedAlike) {
  const auto lambdas = [](MixupMode mode) {
    return kept_shares(mixed({.mixup = 1.0, .mixup_mode = mode}, 5));
  };
  const auto batch = lambdas(MixupMode::kBatch);
  EXPECT_TRUE(torch::equal(batch, batch[0].expand(6)));
  const auto pair = lambdas(MixupMode::kPair);
  EXPECT_TRUE(torch::equal(pair, pair.flip(0)));
  EXPECT_FALSE(torch::equal(pair, pair[0].expand(6)));
  const auto elem = lambdas(MixupMode::kElem);
  EXPECT_FALSE(torch::equal(elem, elem.flip(0)));
}

TEST(Mixup, CutmixReplacesARectangle) {
  for (uint64_t key = 0; key < 50; ++key) {
    const auto image = mixed({.cutmix_minmax = {0.3, 0.7}}, key).images[1][0];  // [10, 12]
    const auto other = image == 4;                                              // of image 4
    EXPECT_TRUE((other | (image == 1)).all().item<bool>());
    const int64_t rows = other.any(1).sum().item<int64_t>();
    const int64_t columns = other.any(0).sum().item<int64_t>();
    EXPECT_EQ(other.sum().item<int64_t>(), rows * columns);
    EXPECT_GE(rows, 3);
    EXPECT_LT(rows, 7);
    EXPECT_GE(columns, 3);
    EXPECT_LT(columns, 8);
  }
}

TEST(Mixup, MixesAndSwitchesWithItsProbabilities) {
  int unmixed = 0;
  int cut = 0;
  for (uint64_t key = 0; key < 1000; ++key) {
    const auto image = mixed({.mixup = 1.0,
                              .cutmix_minmax = {0.3, 0.7},
                              .mixup_prob = 0.8,
                              .mixup_switch_prob = 0.25},
                             key)
                           .images[0][0];  // [10, 12]
    unmixed += (image == 0).all().item<bool>() ? 1 : 0;
    cut += (image == 5).any().item<bool>() ? 1 : 0;
  }
  EXPECT_NEAR(unmixed, 200, 55);
  EXPECT_NEAR(cut, 200, 55);
}

TEST(Mixup, SmallParametersMixLittle) {
  double distance = 0.0;
  for (uint64_t key = 0; key < 200; ++key) {
    const double kept = kept_shares(mixed({.mixup = 1e-4}, key))[0].item<double>();
    ASSERT_TRUE(kept >= 0.0 && kept <= 1.0);
    distance = std::max(distance, std::min(kept, 1.0 - kept));
  }
  EXPECT_LT(distance, 0.2);
}

TEST(Mixup, SmoothedTargetsAreTimms) {
  const auto path = test::fixture("augment/augment.npz");
  const auto arrays = read_npz(path, {"mixup.labels", "mixup.targets"});
  const auto labels = npz_array(arrays, "mixup.labels", path);
  const auto one_hot = target_probabilities(labels, 5, 0.0, torch::kFloat32);  // [4, 5]
  const auto soft = one_hot * 0.3 + one_hot.flip(0) * 0.7;                     // [4, 5]
  EXPECT_TRUE(all_close(target_probabilities(soft, 5, 0.1, torch::kFloat32),
                        npz_array(arrays, "mixup.targets", path), {.absolute = 1e-6}));
}

TEST(Mixup, IsOffUnlessAskedFor) {
  EXPECT_FALSE(mixes({}, 0));
  EXPECT_EQ(mixing_text({}), "");
  EXPECT_FALSE(mixes({.mixup = 1.0, .mixup_prob = 0.0}, 0));
  EXPECT_TRUE(mixes({.cutmix_minmax = {0.2, 0.8}}, 7));
  EXPECT_TRUE(mixes({.mixup = 1.0, .mixup_off_epoch = 3}, 2));
  EXPECT_FALSE(mixes({.mixup = 1.0, .mixup_off_epoch = 3}, 3));
  EXPECT_EQ(mixing_text({.mixup = 0.8, .cutmix = 1.0, .mixup_prob = 0.5}),
            "|mixup(0.8,p=0.5)|cutmix(1,p=0.5)");
}

TEST(Mixup, RejectsRangesOfNoMeaning) {
  for (const auto& shares : {std::vector<double>{0.2}, {0.8, 0.2}, {0.2, 1.2}, {0.1, 0.2, 0.3}}) {
    EXPECT_THROW(validate(MixupOptions{.cutmix_minmax = shares}), UsageError);
  }
}

}  // namespace
}  // namespace softmoe

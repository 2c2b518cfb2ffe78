#include "train/fit_routers.h"

#include <gtest/gtest.h>

#include <atomic>

#include "checkpoints/model_checkpoint.h"
#include "core/rng.h"
#include "support/tensor_matcher.h"
#include "vit/small_models.h"

namespace softmoe {
namespace {

using test::same_bits;

/// Random gray images that count how often they are read.
class CountedImages : public Dataset {
 public:
  explicit CountedImages(int64_t size) : size_(size) {}

  int64_t size() const override { return size_; }
  Sample get(int64_t index) const override {
    ++gets;
    Rng rng(stream_key(3, "counted", 0, static_cast<uint64_t>(index)));
    cv::Mat image(8, 8, CV_8UC1);
    for (int y = 0; y < 8; ++y) {
      for (int x = 0; x < 8; ++x) {
        image.at<uint8_t>(y, x) = static_cast<uint8_t>(rng.below(256));
      }
    }
    return {.image = image, .label = 0};
  }
  const std::vector<std::string>& class_names() const override { return names_; }
  std::string sample_name(int64_t index) const override { return std::to_string(index); }

  mutable std::atomic<int64_t> gets{0};

 private:
  int64_t size_;
  std::vector<std::string> names_{"noise"};
};

VitOptions small_options(const std::string& router) {
  auto options = test::small_gray_options();
  options.num_classes = 4;
  options.moe_blocks = "all";
  options.moe.router = router;
  options.moe.experts = 3;
  options.moe.sparse.hash_codes = 16;
  return options;
}

PreprocessOptions preprocessing() {
  PreprocessOptions preprocess;
  preprocess.input_size = {1, 8, 8};
  return preprocess;
}

LoaderOptions loading(int64_t workers, uint64_t seed = 1) {
  LoaderOptions loader;
  loader.batch_size = 50;
  loader.workers = workers;
  loader.seed = seed;
  loader.drop_last = true;
  return loader;
}

TEST(FitRouters, LearnsFromTheWholeOfASmallSetInEveryLayer) {
  const CountedImages images(170);
  auto model = make_model(small_options("hash_kmeans"), /*seed=*/1);
  ASSERT_TRUE(model->wants_router_sample());
  EXPECT_EQ(fit_routers(model, images, preprocessing(), loading(1)), 170);
  EXPECT_FALSE(model->wants_router_sample());
  const auto buffers = named_tensors(*model);
  EXPECT_TRUE(same_bits(buffers.at("blocks.1.moe.router.codebook"),
                        buffers.at("blocks.0.moe.router.codebook")));
  EXPECT_TRUE(same_bits(buffers.at("blocks.1.moe.router.expert_of_code"),
                        buffers.at("blocks.0.moe.router.expert_of_code")));
}

TEST(FitRouters, SlotsOfKMeansLearnFromTheTokensOfTheirOwnLayer) {
  const CountedImages images(90);
  auto options = small_options("soft");
  options.moe.phi_init = PhiInit::kKMeans;
  auto model = make_model(options, /*seed=*/1);
  ASSERT_TRUE(model->wants_router_sample());
  fit_routers(model, images, preprocessing(), loading(1));
  EXPECT_FALSE(model->wants_router_sample());
  EXPECT_TRUE(model->is_training());
  const auto tensors = named_tensors(*model);
  const auto& phi = tensors.at("blocks.1.moe.router.phi");
  EXPECT_GT((phi - tensors.at("blocks.0.moe.router.phi")).abs().max().item<double>(), 1e-3);
}

TEST(FitRouters, ReadsNoMoreThanItsSample) {
  const CountedImages images(100000);
  auto model = make_model(small_options("hash_projection"), /*seed=*/1);
  EXPECT_EQ(fit_routers(model, images, preprocessing(), loading(1)), 2048);
  EXPECT_GE(images.gets, 2048);
  EXPECT_LE(images.gets, 2048 + 50 * 8);  // what was in work when the sample was full
}

TEST(FitRouters, GivesTheSameForASeedAndAnyNumberOfWorkers) {
  const CountedImages images(3000);
  const auto fitted = [&](int64_t workers, uint64_t seed) {
    auto model = make_model(small_options("hash_kmeans"), /*seed=*/1);
    fit_routers(model, images, preprocessing(), loading(workers, seed));
    return named_tensors(*model);
  };
  const auto first = fitted(1, 1);
  const auto second = fitted(3, 1);
  for (const auto& [name, tensor] : first) {
    EXPECT_TRUE(same_bits(second.at(name), tensor)) << name;
  }
  EXPECT_FALSE(fitted(1, 2)
                   .at("blocks.0.moe.router.codebook")
                   .equal(first.at("blocks.0.moe.router.codebook")));
}

}  // namespace
}  // namespace softmoe

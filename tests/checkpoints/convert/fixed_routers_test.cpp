/// Fixed routers in checkpoints: the same codes and maps after reloading and at other resolutions.

#include "checkpoints/load_into.h"
#include "checkpoints/model_checkpoint.h"
#include "checkpoints/module_tensors.h"
#include "checkpoints/surgery/adapt.h"
#include "core/error.h"
#include "support/temporary_folder.h"
#include "support/tensor_matcher.h"

namespace softmoe {
namespace {

using test::same_bits;

VitOptions small_options(const std::string& router) {
  VitOptions options;
  options.img_size = {8, 12};
  options.patch_size = 2;
  options.in_chans = 1;
  options.num_classes = 5;
  options.dim = 16;
  options.depth = 3;
  options.heads = 2;
  options.mlp_dim = 20;
  options.class_token = true;
  options.moe_blocks = "1,2";
  options.moe.router = router;
  options.moe.experts = 300;  // more than bf16 can count
  options.moe.sparse.hash_codes = 512;
  return options;
}

torch::Tensor seeded_images(int64_t count, uint64_t seed) {
  torch::manual_seed(seed);
  return torch::rand({count, 1, 8, 12}) * 2 - 1;
}

/// Which expert each token reaches in both MoE blocks, [2, batch, tokens].
torch::Tensor experts_of(VisionTransformer& model, const torch::Tensor& images) {
  const torch::NoGradGuard no_grad;
  auto records = model->routing_records({.weights = true});
  model->forward(images, &records);
  std::vector<torch::Tensor> experts;
  for (const auto& [block, record] : records) {
    experts.push_back(record.dispatch.squeeze(-1).argmax(-1));
  }
  return torch::stack(experts);
}

void save_model(const std::filesystem::path& path, const VisionTransformer& model) {
  Checkpoint checkpoint;
  checkpoint.metadata = to_metadata({.name = "small",
                                     .options = model->options(),
                                     .class_names = {"a", "b", "c", "d", "e"},
                                     .preprocess = PreprocessOptions{}});
  checkpoint.model = named_tensors(*model);
  save_checkpoint(path, checkpoint);
}

class FixedRoutersInCheckpoints : public testing::TestWithParam<std::string> {};

TEST_P(FixedRoutersInCheckpoints, RouteTheSameAfterReloadingInAnyPrecision) {
  auto options = small_options(GetParam());
  options.moe.sparse.hash_seed = 4;
  auto model = make_model(options, /*seed=*/1);
  model->eval();
  EXPECT_EQ(model->wants_router_sample(),
            GetParam() == "hash_kmeans" || GetParam() == "hash_projection");
  model->fit_routers(seeded_images(50, 2));
  EXPECT_FALSE(model->wants_router_sample());
  for (auto& buffer : model->named_buffers()) {
    if (buffer.key().find("expert_of_") != std::string::npos) {
      buffer.value().copy_(299 - buffer.value());  // the last ones, too
    }
  }
  const auto images = seeded_images(3, 3);
  const auto expected = experts_of(model, images);
  EXPECT_GT(expected.max().item<int64_t>(), 256);

  test::TemporaryFolder folder;
  save_model(folder / "model.h5", model);
  for (const auto dtype : {torch::kFloat32, torch::kBFloat16}) {
    auto loaded = load_model(folder / "model.h5", torch::kCPU, dtype).model;
    EXPECT_FALSE(loaded->wants_router_sample());
    EXPECT_TRUE(same_bits(experts_of(loaded, images.to(dtype)), expected)) << dtype;
    loaded->to(torch::kBFloat16);
    EXPECT_TRUE(same_bits(experts_of(loaded, images.to(torch::kBFloat16)), expected)) << dtype;
  }
}

TEST_P(FixedRoutersInCheckpoints, KeepTheTrainedMapUnderAnotherSeed) {
  auto model = make_model(small_options(GetParam()), /*seed=*/1);
  model->eval();
  model->fit_routers(seeded_images(50, 2));
  auto options = small_options(GetParam());
  options.moe.sparse.hash_seed = 8;
  auto other = make_model(options, /*seed=*/5);
  other->eval();
  const auto images = seeded_images(3, 3);
  const bool seeded = GetParam() != "hash_block" && GetParam() != "hash_modulo";
  EXPECT_EQ(experts_of(other, images).equal(experts_of(model, images)), !seeded);
  load_into(*other, named_tensors(*model), "model.h5");
  EXPECT_TRUE(same_bits(experts_of(other, images), experts_of(model, images)));
}

INSTANTIATE_TEST_SUITE_P(Routers, FixedRoutersInCheckpoints,
                         testing::Values("hash_random", "hash_block", "hash_modulo",
                                         "hash_projection", "hash_kmeans", "random"),
                         [](const auto& entry) { return entry.param; });

constexpr const char* kMap = "blocks.1.moe.router.expert_of_position";

AdaptedWeights adapted(const VitOptions& from, const VitOptions& to, const NamedTensors& tensors) {
  return adapt_weights(tensors, from, to, PositionResize::kBilinear, /*keep_head=*/true, "a.h5");
}

TEST(PositionMaps, GoToTheNearestPatchOfAnotherResolution) {
  const auto from = small_options("hash_random");  // 4 x 6 patches and a class token
  const auto map = torch::arange(25) * 3 + 100;
  for (const auto& size : std::vector<std::vector<int64_t>>{{16, 24}, {4, 6}, {10, 14}, {8, 18}}) {
    auto to = from;
    to.img_size = size;
    const auto weights = adapted(from, to, {{kMap, map}});
    const auto changed = weights.tensors.at(kMap);
    ASSERT_EQ(changed.size(0), to.tokens());
    EXPECT_EQ(changed[0].item<int64_t>(), 100);
    ASSERT_EQ(weights.changed.size(), 1U);
    EXPECT_NE(weights.changed[0].find(kMap), std::string::npos);
    for (int64_t row = 0; row < to.grid_height(); ++row) {
      for (int64_t column = 0; column < to.grid_width(); ++column) {
        const double y = (static_cast<double>(row) + 0.5) / static_cast<double>(to.grid_height());
        const double x = (static_cast<double>(column) + 0.5) / static_cast<double>(to.grid_width());
        const auto old_row = static_cast<int64_t>(y * 4);
        const auto old_column = static_cast<int64_t>(x * 6);
        EXPECT_EQ(changed[1 + row * to.grid_width() + column].item<int64_t>(),
                  map[1 + old_row * 6 + old_column].item<int64_t>())
            << row << ", " << column;
      }
    }
  }
}

TEST(PositionMaps, StayAtTheSameResolutionAndLoseADroppedClassToken) {
  const auto from = small_options("random");
  const auto map = torch::arange(25);
  const auto same = adapted(from, from, {{kMap, map}});
  EXPECT_TRUE(same_bits(same.tensors.at(kMap), map));
  EXPECT_TRUE(same.changed.empty());
  auto to = from;
  to.class_token = false;
  EXPECT_TRUE(same_bits(adapted(from, to, {{kMap, map}}).tensors.at(kMap), map.slice(0, 1)));
}

TEST(PositionMaps, LetAModelRunAtAnotherResolution) {
  const auto from = small_options("hash_random");
  auto model = make_model(from, /*seed=*/1);
  auto to = from;
  to.img_size = {16, 24};
  auto larger = make_model(to, /*seed=*/2);
  larger->eval();
  auto weights = adapted(from, to, named_tensors(*model));
  load_into(*larger, weights.tensors, "a.h5");
  torch::manual_seed(3);
  const auto experts = experts_of(larger, torch::rand({2, 1, 16, 24}));  // [2, batch, tokens]
  const auto grid = experts.slice(2, 1).view({2, 2, 8, 12});
  // Four new patches for each old one.
  EXPECT_TRUE(same_bits(grid.slice(2, 0, 8, 2), grid.slice(2, 1, 8, 2)));
  EXPECT_TRUE(same_bits(grid.slice(3, 0, 12, 2), grid.slice(3, 1, 12, 2)));
}

TEST(ContentHashes, GoAlongToAnotherResolutionButNotToOtherChannels) {
  const auto from = small_options("hash_kmeans");
  auto model = make_model(from, /*seed=*/1);
  model->fit_routers(seeded_images(50, 2));
  auto to = from;
  to.img_size = {16, 24};
  auto larger = make_model(to, /*seed=*/2);
  load_into(*larger, adapted(from, to, named_tensors(*model)).tensors, "a.h5");
  EXPECT_FALSE(larger->wants_router_sample());
  auto colored = from;
  colored.in_chans = 3;
  auto other = make_model(colored, /*seed=*/2);
  EXPECT_THROW(load_into(*other, adapted(from, colored, named_tensors(*model)).tensors, "a.h5"),
               InputError);
}

}  // namespace
}  // namespace softmoe

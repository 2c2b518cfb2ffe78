#include "checkpoints/surgery/adapt.h"

#include "checkpoints/load_into.h"
#include "checkpoints/model_checkpoint.h"
#include "checkpoints/module_tensors.h"
#include "support/error_text.h"
#include "support/tensor_matcher.h"
#include "vit/small_models.h"

namespace softmoe {
namespace {

VitOptions prefixed_options() {
  auto options = test::small_options();
  options.class_token = true;
  options.dist_token = true;
  options.reg_tokens = 3;
  options.global_pool = GlobalPool::kToken;
  return options;
}

VisionTransformer adapted_model(VisionTransformer& from, const VitOptions& to) {
  auto weights = adapt_weights(named_tensors(*from), from->options(), to, PositionResize::kBicubic,
                               /*keep_head=*/true, "from");
  VisionTransformer model(to);
  load_into(*model, weights.tensors, "adapted");
  return model;
}

TEST(AdaptWeights, MovesPositionsOfPrefixTokensIntoThem) {
  auto model = test::lively_model(prefixed_options());
  const auto images = test::random_images(model->options());
  auto to = model->options();
  to.pos_embed_prefix = false;
  auto folded = adapted_model(model, to);
  EXPECT_TRUE(test::all_close(folded->forward(images), model->forward(images)));
  // Adapted back, there are positions again, all zero.
  auto back = adapted_model(folded, model->options());
  EXPECT_TRUE(test::all_close(back->forward(images), model->forward(images)));
  const auto positions = back->named_parameters()["pos_embed"];
  EXPECT_EQ(positions.narrow(1, 0, 5).abs().max().item<float>(), 0.0F);
}

TEST(AdaptWeights, MakesNoOtherMlpsOfTheWeights) {
  auto model = test::lively_model(prefixed_options());
  auto to = model->options();
  to.mlp_layer = MlpLayer::kSwiGlu;
  EXPECT_EQ(test::input_error([&] { adapted_model(model, to); }),
            "from: mlp-layer: expected swiglu, found mlp");
}

TEST(AdaptWeights, LeavesOutPrefixTokensWithTheirPositions) {
  auto model = test::lively_model(prefixed_options());
  auto to = model->options();
  to.dist_token = false;
  to.reg_tokens = 2;
  const auto adapted = adapt_weights(named_tensors(*model), model->options(), to,
                                     PositionResize::kBicubic, /*keep_head=*/true, "from");
  VisionTransformer smaller(to);
  load_into(*smaller, adapted.tensors, "adapted");
  EXPECT_EQ(adapted.changed, std::vector<std::string>{"head_dist: left out with its token"});
  EXPECT_TRUE(test::same_bits(adapted.tensors.at("head.weight"),
                              model->named_parameters()["head.weight"].detach()));
  const auto before = model->named_parameters()["pos_embed"];
  const auto after = adapted.tensors.at("pos_embed");
  const auto kept = before.index_select(1, torch::tensor({0, 2, 3, 5, 6, 7, 8, 9, 10}));
  EXPECT_TRUE(test::same_bits(after, kept.detach()));
  EXPECT_TRUE(test::same_bits(adapted.tensors.at("reg_token"),
                              model->named_parameters()["reg_token"].narrow(1, 0, 2).detach()));
}

TEST(AdaptWeights, ResizesPatchesAndPositionsTogether) {
  auto options = test::small_options();
  auto model = test::lively_model(options);
  options.img_size = {16, 24};
  options.patch_size = 8;
  auto larger = adapted_model(model, options);
  // Resizing does not change patches of one colour.
  const auto colours = torch::rand({2, 3, 2, 3});
  const auto enlarged = [&](int64_t edge) {
    return colours.repeat_interleave(edge, 2).repeat_interleave(edge, 3);
  };
  EXPECT_TRUE(test::all_close(larger->forward_features(enlarged(8)),
                              model->forward_features(enlarged(4)),
                              test::Tolerance{.absolute = 1e-5}));
  EXPECT_TRUE(test::same_bits(larger->named_parameters()["pos_embed"].detach(),
                              model->named_parameters()["pos_embed"].detach()));
}

}  // namespace
}  // namespace softmoe

/// Models that another family's code knows in part: they are written with changes, or refused.

#include "checkpoints/convert/write_foreign.h"

#include <gmock/gmock.h>

#include "checkpoints/convert/foreign_model.h"
#include "checkpoints/convert/reader_notes.h"
#include "checkpoints/load_into.h"
#include "checkpoints/module_tensors.h"
#include "checkpoints/square_models.h"
#include "core/error.h"
#include "io/npz.h"
#include "support/error_text.h"
#include "support/temporary_folder.h"

namespace softmoe {
namespace {

using test::all_close;
using test::changed;
using test::square_options;
using test::token_pooling;
using testing::HasSubstr;

/// Features of the images of a fixed seed.
torch::Tensor features(const VitOptions& options, const NamedTensors& weights) {
  VisionTransformer model(options);
  load_into(*model, weights, "weights");
  model->eval();
  const torch::NoGradGuard no_grad;
  return model->forward_features(test::random_images(options));
}

void write(const std::filesystem::path& path, const std::string& family, const VitOptions& options,
           const NamedTensors& weights) {
  ModelDescription description;
  description.options = options;
  description.preprocess = default_preprocess(options);
  write_foreign_model(path, TensorFormat::kNpz, find_family(family), description, weights);
}

TEST(WriteForeign, MoeLayersThatNoOtherCodeHasAreRefused) {
  const test::TemporaryFolder folder;
  const auto refused = [&](const std::function<void(MoeOptions&)>& change) {
    auto options = test::small_moe_options();
    options.img_size = {8};
    change(options.moe);
    const auto weights = named_tensors(*test::lively_model(options));
    try {
      write(folder / "a.npz", "vmoe", options, weights);
    } catch (const InputError& error) {
      return std::string(error.what());
    }
    return std::string("written");
  };
  EXPECT_EQ(refused([](auto&) {}), "written");
  EXPECT_EQ(refused([](auto& moe) { moe.expert_dim = 40; }), "written");  // as wide as the MLPs
  EXPECT_THAT(refused([](auto& moe) { moe.combine = CombineWeights::kEntmax15; }),
              HasSubstr("combine: expected softmax, as vmoe has, found entmax15"));
  EXPECT_THAT(refused([](auto& moe) { moe.router_scale_form = ScaleForm::kExp; }),
              HasSubstr("router-scale-form"));
  EXPECT_THAT(refused([](auto& moe) { moe.separate_scales = true; }), HasSubstr("separate-scales"));
  EXPECT_THAT(refused([](auto& moe) { moe.shared_mlp = true; }), HasSubstr("shared-mlp"));
  EXPECT_THAT(refused([](auto& moe) { moe.moe_layer_scale = 0.1; }), HasSubstr("moe-layer-scale"));
  EXPECT_THAT(refused([](auto& moe) { moe.expert_dim = 10; }),
              HasSubstr("expert-dim: expected 0, as vmoe has, found 10"));
}

TEST(WriteForeign, FixedPositionsBecomeATableWhereACodeKnowsNoOthers) {
  for (const bool with_class_token : {false, true}) {
    auto options = square_options();
    options.pos_embed = PositionEmbedding::kSinCos2d;
    if (with_class_token) {
      token_pooling(options);
    }
    const auto weights = named_tensors(*test::lively_model(options));
    ASSERT_FALSE(weights.contains("pos_embed"));
    const test::TemporaryFolder folder;
    for (const std::string family : {"timm", "vision_transformer", "hf_vit"}) {
      if (family == "hf_vit" && !with_class_token) {
        continue;  // it always has one
      }
      write(folder / "a.npz", family, options, weights);
      const auto back = read_foreign_model(folder / "a.npz", {.family = family});
      EXPECT_EQ(back.description.options.pos_embed, PositionEmbedding::kLearned);
      auto read = back.description.options;
      read.norm_eps = options.norm_eps;
      read.gelu = options.gelu;
      EXPECT_TRUE(all_close(features(read, back.weights), features(options, weights))) << family;
    }
  }
}

TEST(WriteForeign, FixedPositionsStayWhereTheyAreKnown) {
  auto options = square_options();
  options.pos_embed = PositionEmbedding::kSinCos2d;
  const auto weights = named_tensors(*test::lively_model(options));
  const test::TemporaryFolder folder;
  for (const std::string family : {"big_vision", "big_vision_scanned", "vmoe"}) {
    write(folder / "a.npz", family, options, weights);
    const auto back = read_foreign_model(folder / "a.npz");
    EXPECT_EQ(back.description.options.pos_embed, PositionEmbedding::kSinCos2d) << family;
    test::expect_same_tensors(back.weights, weights);
  }
}

TEST(WriteForeign, PatchesGetTheBiasThatACodeWants) {
  auto options = changed(square_options(), token_pooling);
  options.patch_bias = false;
  const auto weights = named_tensors(*test::lively_model(options));
  const test::TemporaryFolder folder;
  write(folder / "a.npz", "timm", options, weights);
  EXPECT_TRUE(test::same_bits(read_npz(folder / "a.npz").at("patch_embed.proj.bias"),
                              torch::zeros({options.dim})));
}

TEST(WriteForeign, PatchesLoseABiasThatACodeHasNotIfItIsZero) {
  auto options = changed(square_options(), token_pooling);
  options.pre_norm = true;
  auto weights = named_tensors(*test::lively_model(options));
  const test::TemporaryFolder folder;
  EXPECT_THAT(test::input_error([&] { write(folder / "a.npz", "timm", options, weights); }),
              HasSubstr("patch_embed.proj.bias: expected zeros: timm has no bias before a norm"));
  weights["patch_embed.proj.bias"] = torch::zeros({options.dim});
  write(folder / "a.npz", "timm", options, weights);
  EXPECT_FALSE(read_npz(folder / "a.npz").contains("patch_embed.proj.bias"));
}

TEST(WriteForeign, ImagesAreSquareWhereACodeTakesNoOthers) {
  auto options = changed(square_options(), token_pooling);
  options.img_size = {8, 32};
  options.num_classes = 0;  // DINOv2 pools otherwise under a head
  const auto weights = named_tensors(*test::lively_model(options));
  const test::TemporaryFolder folder;
  for (const std::string family : {"hf_clip", "hf_dinov2", "dinov2"}) {
    EXPECT_THAT(test::input_error([&] { write(folder / "a.npz", family, options, weights); }),
                HasSubstr("img-size: expected a square, as " + family + " has, found 8x32"));
  }
  EXPECT_NO_THROW(write(folder / "a.npz", "hf_vit", options, weights));
}

TEST(WriteForeign, RoutersAreThoseThatACodeHas) {
  const test::TemporaryFolder folder;
  for (const std::string router : {"soft", "tokens_choice", "experts_choice", "soft_uniform",
                                   "uniform_soft", "sinkhorn", "base", "smear"}) {
    const auto options = test::square_moe_options(router);
    const auto weights = named_tensors(*test::lively_model(options));
    const auto path = folder / (router + ".npz");
    if (router == "soft" || router.ends_with("_choice")) {
      EXPECT_NO_THROW(write(path, "vmoe", options, weights)) << router;
    } else {
      EXPECT_THAT(test::input_error([&] { write(path, "vmoe", options, weights); }),
                  HasSubstr("router: expected soft, tokens_choice or experts_choice, as vmoe has, "
                            "found " +
                            router));
      EXPECT_FALSE(std::filesystem::exists(path));
    }
  }
}

TEST(WriteForeign, NotesWhatTheReadersCodeHasNot) {
  ModelDescription description;
  description.options = changed(square_options(), token_pooling);
  description.options.gelu = Activation::kGeluExact;
  description.preprocess = default_preprocess(description.options);
  const auto notes = [&](const std::string& family) {
    return reader_notes(TensorFormat::kSafetensors, find_family(family), description);
  };
  EXPECT_THAT(notes("timm"), testing::IsEmpty());
  description.options.pre_logits = 10;
  EXPECT_THAT(notes("timm"), testing::ElementsAre(HasSubstr("pre-logits")));
  description.options.pre_logits = 0;
  description.options.pos_embed = PositionEmbedding::kSinCos2d;
  EXPECT_THAT(notes("timm"), testing::ElementsAre(HasSubstr("fixed positions")));
  EXPECT_THAT(notes("ours"), testing::IsEmpty());
}

}  // namespace
}  // namespace softmoe

/// Tiny vision transformers against google-research/vmoe: every intermediate result, the outputs
/// and all gradients.

#include "checkpoints/convert/vmoe_weights.h"
#include "checkpoints/load_into.h"
#include "io/npz.h"
#include "support/temporary_folder.h"
#include "support/tensor_matcher.h"
#include "vit/vision_transformer.h"
#include "vit/vmoe_models.h"

namespace softmoe {
namespace {

using test::all_close;
using test::from_vmoe;
using test::Tolerance;

/// A file of tiny_vit_*.npz in one of its modes, and our model of it.
class TinyVit {
 public:
  TinyVit(const std::string& kind, std::string mode)
      : file_("vmoe/tiny_vit_" + kind + ".npz"),
        arrays_(read_npz(test::fixture(file_))),
        mode_(std::move(mode)) {
    auto options = test::tiny_vmoe_options(kind.starts_with("soft"));
    options.moe.dispatch_dtype = mode_ == "bf16" ? Precision::kBFloat16 : Precision::kFloat32;
    model = VisionTransformer(options);
    load_into(*model, from_vmoe(arrays_), file_);
    images = at("images").permute({0, 3, 1, 2});  // [batch, in_chans, height, width]
  }

  torch::Tensor at(const std::string& name) const { return npz_array(arrays_, name, file_); }
  torch::Tensor expected(const std::string& name) const { return at(mode_ + "/" + name); }

  /// Gradients of sigmoid_xent by our names.
  NamedTensors expected_gradients() const {
    const std::string prefix = mode_ + "/grad/";
    NamedTensors gradients;
    for (const auto& [name, tensor] : arrays_) {
      if (name.starts_with(prefix)) {
        gradients["params/" + name.substr(prefix.size())] = tensor;
      }
    }
    return from_vmoe(gradients);
  }

  /// In bf16 mode by the reference's own tolerance.
  testing::AssertionResult matches(const torch::Tensor& actual, const std::string& name) const {
    const auto reference = expected(name).reshape(actual.sizes());
    const double largest = std::max(1.0, reference.abs().max().item<double>());
    return mode_ == "bf16" ? all_close(actual, reference, Tolerance{.absolute = 1e-5 * largest})
                           : all_close(actual, reference);
  }

  template <typename Module>
  std::shared_ptr<Module> submodule(const std::string& name) const {
    return std::dynamic_pointer_cast<Module>(model->named_modules()[name]);
  }

  torch::Tensor sigmoid_xent(const torch::Tensor& logits) const {
    const auto sum =
        torch::binary_cross_entropy_with_logits(logits, at("labels"), {}, {}, at::Reduction::Sum);
    return sum / logits.size(0);
  }

  VisionTransformer model{nullptr};
  torch::Tensor images;

 private:
  std::string file_;
  NamedTensors arrays_;
  std::string mode_;
};

class TinyVitParity : public testing::TestWithParam<std::tuple<std::string, std::string>> {
 protected:
  TinyVit vit_{std::get<0>(GetParam()), std::get<1>(GetParam())};
};

/// Each part from the reference's own result before it: the last bit of one part would turn the
/// rounding to bf16 of the next.
TEST_P(TinyVitParity, EveryPart) {
  auto embed = vit_.submodule<PatchEmbedImpl>("patch_embed");
  auto x = embed->forward(image_patches(vit_.images, vit_.model->options()));
  EXPECT_TRUE(vit_.matches(x.view({4, 4, 4, 64}), "after/embedding"));
  x = x + vit_.model->named_parameters()["pos_embed"];
  EXPECT_TRUE(vit_.matches(x, "after/Encoder/posembed_input"));
  x = vit_.expected("after/Encoder/posembed_input");
  for (int64_t block = 0; block < 3; ++block) {
    const auto index = std::to_string(block);
    const auto name = "after/Encoder/encoderblock_" + index;
    EXPECT_TRUE(vit_.matches(vit_.submodule<BlockImpl>("blocks." + index)->forward(x), name));
    x = vit_.expected(name);
  }
  EXPECT_TRUE(vit_.matches(vit_.submodule<LayerNormImpl>("norm")->forward(x),
                           "after/Encoder/encoder_norm"));
}

/// All parts one after the other.
TEST_P(TinyVitParity, Tokens) {
  EXPECT_TRUE(vit_.matches(vit_.model->forward_tokens(vit_.images), "after/Encoder/encoder_norm"));
}

TEST_P(TinyVitParity, FeaturesLogitsAndLosses) {
  const auto features = vit_.model->forward_features(vit_.images);
  EXPECT_TRUE(vit_.matches(features, "features"));
  const auto logits = vit_.model->forward(vit_.images);
  EXPECT_TRUE(vit_.matches(logits, "logits"));
  EXPECT_TRUE(vit_.matches(vit_.sigmoid_xent(logits), "sigmoid_xent"));
  const auto softmax_xent = -(logits.log_softmax(1) * vit_.at("labels")).sum(1).mean();
  EXPECT_TRUE(vit_.matches(softmax_xent, "softmax_xent"));
}

INSTANTIATE_TEST_SUITE_P(Models, TinyVitParity,
                         testing::Values(std::tuple{"dense_gap", "fp32"},
                                         std::tuple{"soft_gap", "fp32"},
                                         std::tuple{"soft_gap", "bf16"}),
                         [](const auto& entry) {
                           return std::get<0>(entry.param) + "_" + std::get<1>(entry.param);
                         });

TEST(TinyVitParityGradients, OfEveryParameter) {
  for (const std::string kind : {"dense_gap", "soft_gap"}) {
    const TinyVit vit(kind, "fp32");
    auto model = vit.model;
    vit.sigmoid_xent(model->forward(vit.images)).backward();
    const auto expected = vit.expected_gradients();
    const auto parameters = model->named_parameters();
    ASSERT_EQ(parameters.size(), expected.size()) << kind;
    for (const auto& parameter : parameters) {
      ASSERT_TRUE(expected.contains(parameter.key())) << parameter.key();
      EXPECT_TRUE(all_close(parameter.value().grad(), expected.at(parameter.key())))
          << kind << " " << parameter.key();
    }
  }
}

/// The tolerance tells the details apart that are easily got wrong.
TEST(TinyVitParityGuards, OtherDetailsGiveOtherLogits) {
  const TinyVit vit("dense_gap", "fp32");
  const auto weights = vit.model->named_parameters();
  const auto logits_with = [&](VitOptions options) {
    VisionTransformer other(std::move(options));
    NamedTensors tensors;
    for (const auto& parameter : weights) {
      tensors[parameter.key()] = parameter.value();
    }
    load_into(*other, tensors, "the model with other details");
    return other->forward(vit.images);
  };
  EXPECT_TRUE(vit.matches(logits_with(vit.model->options()), "logits"));
  auto options = vit.model->options();
  options.gelu = Activation::kGeluExact;
  EXPECT_FALSE(vit.matches(logits_with(options), "logits"));
  options = vit.model->options();
  options.norm_eps = 1e-5;
  EXPECT_FALSE(vit.matches(logits_with(options), "logits"));
}

}  // namespace
}  // namespace softmoe

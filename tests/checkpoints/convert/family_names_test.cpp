/// Every family of checkpoints: names there and back, detection, and options guessed from shapes.

#include <gtest/gtest.h>

#include "checkpoints/convert/check_weights.h"
#include "checkpoints/convert/family_weights.h"
#include "checkpoints/convert/foreign_model.h"
#include "checkpoints/convert/write_foreign.h"
#include "checkpoints/load_into.h"
#include "checkpoints/module_tensors.h"
#include "checkpoints/square_models.h"
#include "io/npz.h"
#include "support/temporary_folder.h"
#include "vit/small_models.h"

namespace softmoe {
namespace {

using test::changed;
using test::dinov2_options;
using test::dinov2_swiglu_options;
using test::expect_same_tensors;
using test::square_moe_options;
using test::square_options;
using test::token_pooling;

/// A model that a family can express.
struct FamilyCase {
  const char* name;
  const char* family;
  std::function<VitOptions()> options;
};

void PrintTo(const FamilyCase& test_case, std::ostream* out) { *out << test_case.name; }

/// Options of both Hugging Face's ViT and DeiT.
VitOptions hf_options() {
  return changed(square_options(), [](VitOptions& o) {
    token_pooling(o);
    o.gelu = Activation::kGeluExact;
    o.norm_eps = 1e-12;
  });
}

const std::vector<FamilyCase> kFamilyCases{
    {"Ours", "ours", [] { return square_moe_options("soft"); }},
    {"OursSparse", "ours", [] { return square_moe_options("tokens_choice"); }},
    {"Timm", "timm",
     [] {
       return changed(square_options(), [](VitOptions& o) {
         token_pooling(o);
         o.dist_token = true;
         o.qk_norm = true;
         o.layer_scale = 1e-5;
         o.gelu = Activation::kGeluExact;
       });
     }},
    {"TimmRegistersMap", "timm",
     [] {
       return changed(square_options(), [](VitOptions& o) {
         o.class_token = true;
         o.reg_tokens = 4;
         o.pos_embed_prefix = false;
         o.global_pool = GlobalPool::kMap;
         o.pre_logits = 10;
         o.gelu = Activation::kGeluExact;
       });
     }},
    {"TimmPooledNorm", "timm",
     [] {
       return changed(square_options(), [](VitOptions& o) {
         o.class_token = true;
         o.final_norm = FinalNorm::kPooled;
         o.gelu = Activation::kGeluExact;
       });
     }},
    {"HfVit", "hf_vit", [] { return hf_options(); }},
    {"HfDeit", "hf_deit",
     [] { return changed(hf_options(), [](VitOptions& o) { o.reg_tokens = 1; }); }},
    {"HfDeitDistilled", "hf_deit_distilled",
     [] { return changed(hf_options(), [](VitOptions& o) { o.dist_token = true; }); }},
    {"HfDinov2", "hf_dinov2", [] { return dinov2_options(/*registers=*/2); }},
    {"HfDinov2Classes", "hf_dinov2",
     [] {
       return changed(dinov2_options(/*registers=*/2), [](VitOptions& o) {
         o.num_classes = 7;
         o.global_pool = GlobalPool::kTokenAvg;
       });
     }},
    {"HfDinov2SwiGlu", "hf_dinov2_swiglu", [] { return dinov2_swiglu_options(/*registers=*/2); }},
    {"Dinov2", "dinov2", [] { return dinov2_options(); }},
    {"Dinov2Registers", "dinov2", [] { return dinov2_options(/*registers=*/2); }},
    {"Dinov2SwiGlu", "dinov2_swiglu", [] { return dinov2_swiglu_options(); }},
    {"TimmSwiGlu", "timm",
     [] { return changed(dinov2_swiglu_options(), [](VitOptions& o) { o.num_classes = 7; }); }},
    {"HfSiglip", "hf_siglip",
     [] {
       return changed(square_options(), [](VitOptions& o) {
         o.num_classes = 0;
         o.global_pool = GlobalPool::kMap;
       });
     }},
    {"HfClip", "hf_clip",
     [] {
       return changed(square_options(), [](VitOptions& o) {
         token_pooling(o);
         o.pre_norm = true;
         o.patch_bias = false;
         o.gelu = Activation::kGeluQuick;
         o.norm_eps = 1e-5;
       });
     }},
    {"Vmoe", "vmoe",
     [] {
       return changed(square_moe_options("soft"), [](VitOptions& o) {
         o.qk_norm = true;
         o.global_pool = GlobalPool::kMap;
       });
     }},
    {"VmoeSparse", "vmoe",
     [] { return changed(square_moe_options("tokens_choice"), token_pooling); }},
    {"VisionTransformer", "vision_transformer",
     [] {
       return changed(square_options(), [](VitOptions& o) {
         token_pooling(o);
         o.pre_logits = 10;
       });
     }},
    {"BigVision", "big_vision",
     [] {
       return changed(square_options(), [](VitOptions& o) { o.global_pool = GlobalPool::kMap; });
     }},
    {"BigVisionScanned", "big_vision_scanned", [] { return square_options(); }},
};

class FamilyNames : public testing::TestWithParam<FamilyCase> {
 protected:
  FamilyNames() : options_(GetParam().options()), weights_(random_weights()) {}

  /// Weights that the family can hold: zeros for tensors that it does not have.
  NamedTensors random_weights() const {
    NamedTensors weights;
    for (const auto& [name, tensor] : named_tensors(*test::lively_model(options_))) {
      weights[name] = tensor.clone();
    }
    const std::string family = GetParam().family;
    if (family == "hf_clip") {
      weights.at("head.bias").zero_();
    }
    if (family.find("dinov2") != std::string::npos) {
      weights.at("pos_embed").narrow(1, 1, options_.reg_tokens).zero_();
    }
    return weights;
  }
  const Family& family() const { return find_family(GetParam().family); }

  VitOptions options_;
  NamedTensors weights_;
};

TEST_P(FamilyNames, RoundTripsBitForBitAndIsRecognised) {
  const auto theirs = to_family_names(weights_, family(), options_.heads, "model");
  const bool has_mask = family().naming == "dinov2";
  const auto left_out =
      has_mask ? std::vector<std::string>{"mask_token"} : std::vector<std::string>{};
  for (const std::string prefix : {"", "module.", "params/", "params/img/", "opt/target/"}) {
    NamedTensors file;
    for (const auto& [name, tensor] : theirs) {
      file[prefix + name] = tensor;
    }
    const auto found = find_model(file, "", "", "file");
    EXPECT_EQ(found.family->name, GetParam().family);
    EXPECT_EQ(found.prefix, prefix);
    EXPECT_EQ(found.left_out, left_out);
    expect_same_tensors(to_our_names(found, "file").tensors, weights_);
  }
}

TEST_P(FamilyNames, TellsTheOptionsOfItsModels) {
  const test::TemporaryFolder folder;
  const auto file = folder / "weights.npz";
  write_npz(file, to_family_names(weights_, family(), options_.heads, "model"));
  const auto model = read_foreign_model(file);
  auto expected = options_;
  expected.moe.capacity_factor = model.description.options.moe.capacity_factor;
  if (!has_moe(options_)) {
    expected.moe = model.description.options.moe;
  }
  EXPECT_EQ(options_to_json(model.description.options), options_to_json(expected));
  EXPECT_EQ(model.format, TensorFormat::kNpz);
  check_weights(model.weights, model.description.options, family(), "file");
}

TEST_P(FamilyNames, ComesBackFromEveryFormatWithItsDescription) {
  const test::TemporaryFolder folder;
  ModelDescription description{.name = "small",
                               .options = options_,
                               .class_names = {},
                               .preprocess = default_preprocess(options_)};
  description.preprocess->mean = {0.25};
  description.options.norm_eps = 3e-4;
  for (int64_t label = 0; label < options_.num_classes; ++label) {
    description.class_names.push_back("class " + std::to_string(label));
  }
  const auto file = folder / "model.safetensors";
  write_foreign_model(file, TensorFormat::kSafetensors, family(), description, weights_);
  const auto model = read_foreign_model(file);
  EXPECT_EQ(model.family, GetParam().family);
  EXPECT_EQ(to_metadata(model.description), to_metadata(description));
  expect_same_tensors(model.weights, weights_);
  write_foreign_model(folder / "model.h5", TensorFormat::kHdf5, find_family("ours"), description,
                      weights_);
  const auto native = read_foreign_model(folder / "model.h5");
  EXPECT_EQ(to_metadata(native.description), to_metadata(description));
  expect_same_tensors(native.weights, weights_);
}

INSTANTIATE_TEST_SUITE_P(All, FamilyNames, testing::ValuesIn(kFamilyCases),
                         [](const auto& test_case) { return test_case.param.name; });

TEST(Families, AllHaveATest) {
  for (const auto& family : families()) {
    EXPECT_TRUE(std::any_of(kFamilyCases.begin(), kFamilyCases.end(), [&](const auto& row) {
      return row.family == family.name;
    })) << family.name;
  }
}

}  // namespace
}  // namespace softmoe

/// Files that hold more than a model: what is left out, and what is refused because the model would
/// lose a part.

#include "checkpoints/convert/other_tensors.h"

#include <gmock/gmock.h>

#include "checkpoints/convert/family_weights.h"
#include "checkpoints/convert/find_model.h"
#include "checkpoints/convert/foreign_model.h"
#include "checkpoints/square_models.h"
#include "io/npz.h"
#include "support/error_text.h"
#include "support/temporary_folder.h"

namespace softmoe {
namespace {

using test::changed;
using test::square_options;
using test::token_pooling;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

constexpr int64_t kDim = 192;

/// Small weights under the names of `family`, after `prefix`.
NamedTensors named_for(const std::string& family, const std::string& prefix) {
  const auto options = changed(square_options(), token_pooling);
  NamedTensors file;
  for (const auto& [name, tensor] : to_family_names(named_tensors(*test::lively_model(options)),
                                                    find_family(family), options.heads, "model")) {
    file[prefix + name] = tensor;
  }
  return file;
}

/// What is found in a file that `others` are added to.
FoundModel find_among(NamedTensors file, const NamedTensors& others) {
  for (const auto& [name, tensor] : others) {
    file[name] = tensor;
  }
  return find_model(file, "", "", "file");
}

/// The refusal of tensors that look like parts of the model.
std::string refusal(NamedTensors file, const NamedTensors& others) {
  return test::input_error([&] { to_our_names(find_among(std::move(file), others), "file"); });
}

TEST(OtherTensors, OutsideTheModelAreLeftOut) {
  const NamedTensors others{{"callbacks.Average.value", torch::ones({kDim})},
                            {"loss", torch::ones({})},
                            {"loss_fn.head.weight", torch::ones({9, kDim})},
                            {"optimizer_states.0.state.0.exp_avg", torch::ones({7, kDim})},
                            {"model_ema.n_averaged", torch::ones({}, torch::kInt64)},
                            {"head.mlp.0.weight", torch::ones({16, kDim})},
                            {"head.last_layer.weight_v", torch::ones({16, kDim})}};
  for (const std::string family : {"timm", "hf_vit"}) {
    for (const std::string prefix : {"state_dict.", "model_state_dict.", "net.", "backbone.",
                                     "encoder.", "teacher.backbone.", "model.vit."}) {
      auto file = named_for(family, prefix);
      const auto found = find_among(file, others);
      EXPECT_EQ(found.prefix, prefix) << family;
      EXPECT_EQ(found.left_out.size(), others.size()) << family << prefix;
      EXPECT_THAT(found.unmatched, IsEmpty()) << family << prefix;
      EXPECT_EQ(found.tensors.size(), file.size()) << family << prefix;
    }
  }
}

TEST(OtherTensors, BesideThoseOfTheModelAreLeftOutIfTheyAreOfTraining) {
  const NamedTensors others{{"criterion.weight", torch::ones({kDim})},
                            {"decoder_blocks.0.norm1.weight", torch::ones({kDim})},
                            {"mask_token", torch::ones({1, 1, kDim})},
                            {"optim.state.0.step", torch::ones({})},
                            {"queue", torch::ones({kDim, 64})},
                            {"val_acc.total", torch::ones({})},
                            {"unheard_of", torch::ones({5})},
                            {"blocks.0.norm1.num_batches_tracked", torch::ones({}, torch::kInt64)},
                            {"blocks.1.attn.total_ops", torch::ones({1}, torch::kFloat64)}};
  const auto file = named_for("timm", "");
  const auto found = find_among(file, others);
  EXPECT_EQ(found.left_out.size(), others.size());
  EXPECT_EQ(found.tensors.size(), file.size());
}

TEST(OtherTensors, AreRefusedIfTheyLookLikeMissingParts) {
  const auto timm = named_for("timm", "");
  for (const auto& [name, tensor] : {std::pair{"blocks.12.scale", torch::ones({5})},
                                     {"blocks.0.attn.rel_pos", torch::ones({5})},
                                     {"rope.freqs", torch::ones({5})},
                                     {"strange", torch::ones({3, kDim})},
                                     {"head2.weight", torch::ones({5, 3})},
                                     {"patch_embed.norm.weight", torch::ones({kDim})}}) {
    EXPECT_THAT(refusal(timm, {{name, tensor}}),
                HasSubstr("file: no counterpart of " + std::string(name)));
  }
  EXPECT_THAT(refusal(timm, {{"strange", torch::ones({3, kDim})}}), HasSubstr("--leave-out"));
}

TEST(OtherTensors, ThatAreAnotherHeadAreRefused) {
  for (const std::string name : {"classifier", "model2.fc", "aux_head.1"}) {
    const auto text =
        refusal(named_for("timm", "model."),
                {{name + ".weight", torch::ones({9, kDim})}, {name + ".bias", torch::ones({9})}});
    EXPECT_THAT(text, HasSubstr(name + ".bias, " + name + ".weight"));
  }
  // Of another width, it reads something else.
  const auto found =
      find_among(named_for("timm", "model."), {{"classifier.weight", torch::ones({9, kDim - 1})}});
  EXPECT_THAT(found.left_out, ElementsAre("classifier.weight"));
}

TEST(OtherTensors, HeadsOutsideTheBodyAreItsOwn) {
  NamedTensors file;
  for (const auto& [name, tensor] : named_for("hf_vit", "")) {
    file[(name.starts_with("classifier") ? "" : "vit.") + name] = tensor;
  }
  file["vit.pooler.dense.weight"] = torch::ones({2, 2});
  const auto found = find_model(file, "", "", "file");
  EXPECT_EQ(found.prefix, "vit.");
  EXPECT_THAT(found.left_out, ElementsAre("pooler.dense.weight"));
  EXPECT_TRUE(found.tensors.contains("classifier.weight"));
}

TEST(OtherTensors, OfLoraAreNamed) {
  const auto timm = named_for("timm", "base_model.model.");
  for (const std::string name :
       {"base_model.model.blocks.0.attn.qkv.lora_A.default.weight",
        "blocks.0.attn.qkv.lora_magnitude_vector", "blocks.0.attn.qkv.base_layer.weight",
        "base_model.model.head.modules_to_save.default.weight", "blocks.0.attn.proj.lora_down"}) {
    EXPECT_THAT(refusal(timm, {{name, torch::ones({4, kDim})}}),
                testing::AllOf(HasSubstr("merge LoRA into its model first"),
                               HasSubstr("found 1 tensor of LoRA (" + name + ")")));
  }
  EXPECT_THAT(refusal({}, {{"blocks.0.attn.qkv.lora_B.weight", torch::ones({4, 4})}}),
              HasSubstr("merge LoRA"));
}

TEST(OtherTensors, ObjectsInPlaceOfTheModelAreNamed) {
  const std::vector<OpaqueObject> opaque{{"args", "argparse.Namespace", false},
                                         {"model", "my.Vit", true}};
  const NamedTensors state{{"optimizer.state.0.exp_avg", torch::ones({3})}};
  EXPECT_EQ(test::input_error([&] { find_model(state, "", "", "file", opaque); }),
            "file: expected a vision transformer's state dict, as model.state_dict() gives it, "
            "found an object of my.Vit at 'model'");
  EXPECT_THAT(test::input_error([&] { find_model(state, "", "", "file"); }),
              HasSubstr("found optimizer.state.0.exp_avg and so on"));
  EXPECT_EQ(test::input_error([&] {
              find_model(named_for("timm", "model."), "", "", "file",
                         {{"model._orig_mod.blocks.7.norm1.weight", "my.Packed", false}});
            }),
            "file: tensor 'model._orig_mod.blocks.7.norm1.weight': expected plain numbers, found "
            "an object of my.Packed");
}

TEST(OtherTensors, AreNamedByGroup) {
  EXPECT_EQ(grouped_names({"optim.state.0.step", "optim.state.1.step", "optim.groups", "loss"}),
            "loss, 3 tensors of optim.*");
  EXPECT_EQ(grouped_names({"blocks.0.attn.total_ops", "blocks.1.attn.total_ops", "a.b"}),
            "a.b, 2 tensors of blocks.*.attn.total_ops");
  EXPECT_EQ(grouped_names({"opt/mu/a", "opt/nu/a"}), "2 tensors of opt/*");
}

}  // namespace
}  // namespace softmoe

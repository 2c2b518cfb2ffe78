#include "vit/zoo.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <regex>

#include "core/error.h"
#include "core/nearest_name.h"

namespace softmoe {
namespace {

/// Sources: arXiv:2010.11929 (B, L, H), arXiv:2106.04560 (Ti, S, g, G).
struct SizeRow {
  std::string_view name;
  std::string_view timm_name;
  int64_t dim;
  int64_t depth;
  int64_t heads;
  int64_t mlp_dim;
  std::array<int64_t, 4> patches;  ///< usual patch sizes, 0 fills up
};

constexpr std::array kSizes{
    SizeRow{"ti", "tiny", 192, 12, 3, 768, {16, 14, 32, 8}},
    SizeRow{"s", "small", 384, 12, 6, 1536, {16, 14, 32, 8}},
    SizeRow{"b", "base", 768, 12, 12, 3072, {16, 14, 32, 8}},
    SizeRow{"l", "large", 1024, 24, 16, 4096, {16, 14, 32, 0}},
    SizeRow{"h", "huge", 1280, 32, 16, 5120, {14, 16, 0, 0}},
    SizeRow{"g", "giant", 1408, 40, 16, 6144, {14, 0, 0, 0}},
    SizeRow{"G", "gigantic", 1664, 48, 16, 8192, {14, 0, 0, 0}},
};

/// DINOv2's own giant (Oquab et al., arXiv:2304.07193), whose MLPs are SwiGLU.
constexpr SizeRow kDinov2Giant{"", "giant", 1536, 40, 24, 4096, {14, 0, 0, 0}};

/// Soft MoE models beside 128 experts: those of the paper.
constexpr std::array kPaperExperts{std::pair<std::string_view, int64_t>{"s14", 256},
                                   std::pair<std::string_view, int64_t>{"h14", 256}};

/// Sizes and patches that timm has under a name of its own.
constexpr std::array<std::string_view, 13> kInTimm{"ti16", "s8",  "s16", "s32", "b8",  "b16", "b32",
                                                   "l14",  "l16", "l32", "h14", "g14", "G14"};

VitOptions sized(const SizeRow& row, int64_t patch_size) {
  VitOptions options;
  options.patch_size = patch_size;
  options.dim = row.dim;
  options.depth = row.depth;
  options.heads = row.heads;
  options.mlp_dim = row.mlp_dim;
  return options;
}

const SizeRow* find_size(const std::string& name, std::string_view SizeRow::*member) {
  for (const auto& row : kSizes) {
    if (row.*member == name) {
      return &row;
    }
  }
  return nullptr;
}

/// timm's backbone for the weights of DINOv2, without a head as there.
VitOptions dinov2_preset(const std::string& timm_name, bool has_registers) {
  const bool is_giant = timm_name == kDinov2Giant.timm_name;
  const auto* row = is_giant ? &kDinov2Giant : find_size(timm_name, &SizeRow::timm_name);
  auto options = sized(*row, /*patch_size=*/14);
  options.img_size = {518};
  options.num_classes = 0;
  options.mlp_layer = is_giant ? MlpLayer::kSwiGlu : MlpLayer::kMlp;
  options.class_token = true;
  options.global_pool = GlobalPool::kToken;
  options.reg_tokens = has_registers ? 4 : 0;
  options.pos_embed_prefix = !has_registers;
  options.layer_scale = 1e-5;
  options.gelu = Activation::kGeluExact;
  return options;
}

/// The names of the zoo and timm's.
std::vector<std::string> all_names() {
  auto names = zoo_names();
  for (const auto& name : zoo_names()) {
    if (const auto alias = timm_alias(name); !alias.empty()) {
      names.push_back(alias);
    }
  }
  return names;
}

/// `options` of the model `name`; throws UsageError if its name has a patch size or a number of
/// experts that no model has.
VitOptions checked(const std::string& name, VitOptions options) {
  const auto fail = [&name](const std::string& expected) {
    throw UsageError("model", expected, "'" + name + "'" + did_you_mean(name, all_names()));
  };
  const auto size = options.img_size.front();
  if (options.patch_size < 1 || size < options.patch_size || size % options.patch_size != 0) {
    fail(fmt::format("a patch size in the name that divides {} px (--patch-size sets others)",
                     size));
  }
  if (has_moe(options) && options.moe.experts < 1) {
    fail("a name with at least one expert (as softmoe_b16_128e)");
  }
  return options;
}

}  // namespace

VitOptions model_preset(const std::string& name) {
  static const std::regex own_pattern("(vit|softmoe)_([a-zG]+)([0-9]{1,3})(?:_([0-9]{1,6})e)?");
  static const std::regex timm_pattern("vit_([a-z]+)_patch([0-9]{1,3})(_gap)?_([0-9]{1,4})");
  static const std::regex dinov2_pattern("vit_(small|base|large|giant)_patch14(_reg4)?_dinov2");
  std::smatch match;
  if (std::regex_match(name, match, own_pattern)) {
    const auto* row = find_size(match[2], &SizeRow::name);
    const bool is_moe = match[1] == "softmoe";
    if (row != nullptr && is_moe == match[4].matched) {
      auto options = sized(*row, std::stoll(match[3]));
      if (is_moe) {
        options.moe_blocks = "last_half";
        options.moe.experts = std::stoll(match[4]);
        options.moe.slots_per_expert = 1;
      }
      return checked(name, std::move(options));
    }
  } else if (std::regex_match(name, match, dinov2_pattern)) {
    return dinov2_preset(match[1], match[2].matched);
  } else if (std::regex_match(name, match, timm_pattern)) {
    const auto* row = find_size(match[1], &SizeRow::timm_name);
    if (row != nullptr) {
      auto options = sized(*row, std::stoll(match[2]));
      options.img_size = {std::stoll(match[4])};
      options.gelu = Activation::kGeluExact;
      if (match[3].matched) {
        // timm gives the base model without class token narrower heads, and none an fc_norm.
        options.heads = row->name == "b" ? 16 : row->heads;
      } else {
        options.class_token = true;
        options.global_pool = GlobalPool::kToken;
      }
      return checked(name, std::move(options));
    }
  }
  const auto without_tag = name.substr(0, name.find('.'));  // timm's names of weights follow a dot
  throw UsageError("model", "a model of the zoo, which softmoe models lists, or timm's name of one",
                   "'" + printable_text(name) + "'" + did_you_mean(without_tag, all_names()));
}

bool is_model_name(const std::string& name) {
  try {
    model_preset(name);
    return true;
  } catch (const UsageError&) {
    return false;
  }
}

std::vector<std::string> zoo_names() {
  std::vector<std::string> dense;
  std::vector<std::string> sparse;
  for (const auto& row : kSizes) {
    for (const int64_t patch : row.patches) {
      if (patch == 0) {
        continue;
      }
      const auto model = fmt::format("{}{}", row.name, patch);
      dense.push_back("vit_" + model);
      sparse.push_back(fmt::format("softmoe_{}_128e", model));
      for (const auto& [paper_model, experts] : kPaperExperts) {
        if (paper_model == model) {
          sparse.push_back(fmt::format("softmoe_{}_{}e", model, experts));
        }
      }
    }
  }
  dense.insert(dense.end(), sparse.begin(), sparse.end());
  return dense;
}

std::string timm_alias(const std::string& name) {
  for (const auto& row : kSizes) {
    for (const int64_t patch : row.patches) {
      const auto model = fmt::format("{}{}", row.name, patch);
      if (name == "vit_" + model &&
          std::find(kInTimm.begin(), kInTimm.end(), model) != kInTimm.end()) {
        return fmt::format("vit_{}_patch{}_224", row.timm_name, patch);
      }
    }
  }
  return "";
}

}  // namespace softmoe

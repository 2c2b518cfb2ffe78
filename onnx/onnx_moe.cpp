#include "onnx/onnx_moe.h"

#include <array>

#include "core/registry.h"
#include "onnx/onnx_experts.h"

namespace softmoe {
namespace {

template <SoftMixing mixing>
OnnxValue soft_moe(const OnnxMoeLayer& layer, const OnnxValue& tokens) {
  return onnx_soft_moe(layer, tokens, mixing);
}

struct OnnxRouterRow {
  std::string_view name;
  OnnxValue (*build)(const OnnxMoeLayer& layer, const OnnxValue& tokens);
};

/// The others assign tokens by search (base, sinkhorn), or have no bound on their rows (relu).
constexpr std::array kRows{
    OnnxRouterRow{"soft", soft_moe<SoftMixing::kSoft>},
    OnnxRouterRow{"soft_uniform", soft_moe<SoftMixing::kSoftUniform>},
    OnnxRouterRow{"uniform_soft", soft_moe<SoftMixing::kUniformSoft>},
    OnnxRouterRow{"uniform", soft_moe<SoftMixing::kUniform>},
    OnnxRouterRow{"identity", onnx_identity_moe},
    OnnxRouterRow{"tokens_choice", onnx_tokens_choice},
    OnnxRouterRow{"experts_choice", onnx_experts_choice},
    OnnxRouterRow{"reinforced", onnx_best_expert},
    OnnxRouterRow{"smear", onnx_merged_experts},
    OnnxRouterRow{"hash_random", onnx_position_moe},
    OnnxRouterRow{"hash_block", onnx_position_moe},
    OnnxRouterRow{"hash_modulo", onnx_position_moe},
    OnnxRouterRow{"hash_projection", onnx_content_moe},
    OnnxRouterRow{"hash_kmeans", onnx_content_moe},
    OnnxRouterRow{"random", onnx_position_moe},
};

const OnnxRouterRow& row_of(const std::string& name) {
  return find_row(std::span<const OnnxRouterRow>(kRows), name, "router of an ONNX model");
}

}  // namespace

void check_onnx_router(const std::string& name) { row_of(name); }

OnnxValue onnx_moe_layer(OnnxContext& context, const OnnxValue& tokens, const std::string& name) {
  const OnnxMoeLayer layer{
      .context = context, .options = moe_layer_options(context.options), .name = name};
  return row_of(layer.options.moe.router).build(layer, tokens);  // [batch, tokens, dim]
}

}  // namespace softmoe

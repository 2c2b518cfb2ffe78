#include "onnx/onnx_moe.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <array>
#include <vector>

#include "core/registry.h"
#include "onnx/onnx_soft_moe.h"
#include "onnx/onnx_sparse_moe.h"
#include "softmoe/routers.h"

namespace softmoe {
namespace {

template <SoftMixing mixing>
OnnxValue soft_moe(const OnnxMoeLayer& layer, const OnnxValue& tokens) {
  return onnx_soft_moe(layer, tokens, mixing);
}

/// A writer of MoE layers.
struct OnnxWriterRow {
  OnnxForm form;
  OnnxValue (*write)(const OnnxMoeLayer& layer, const OnnxValue& tokens);
};

constexpr std::array kWriters{
    OnnxWriterRow{OnnxForm::kSoft, soft_moe<SoftMixing::kSoft>},
    OnnxWriterRow{OnnxForm::kSoftUniform, soft_moe<SoftMixing::kSoftUniform>},
    OnnxWriterRow{OnnxForm::kUniformSoft, soft_moe<SoftMixing::kUniformSoft>},
    OnnxWriterRow{OnnxForm::kUniform, soft_moe<SoftMixing::kUniform>},
    OnnxWriterRow{OnnxForm::kIdentity, onnx_identity_moe},
    OnnxWriterRow{OnnxForm::kTokensChoice, onnx_tokens_choice},
    OnnxWriterRow{OnnxForm::kExpertsChoice, onnx_experts_choice},
    OnnxWriterRow{OnnxForm::kBestExpert, onnx_best_expert},
    OnnxWriterRow{OnnxForm::kMergedExperts, onnx_merged_experts},
    OnnxWriterRow{OnnxForm::kPositionMap, onnx_position_moe},
    OnnxWriterRow{OnnxForm::kContentMap, onnx_content_moe},
};

/// The routers that have an ONNX form.
std::vector<RouterRow> writable_rows() {
  std::vector<RouterRow> rows;
  for (const auto& row : router_rows()) {
    if (row.onnx != OnnxForm::kNone) {
      rows.push_back(row);
    }
  }
  return rows;
}

}  // namespace

void check_onnx_router(const std::string& name) {
  const auto rows = writable_rows();
  find_row(std::span<const RouterRow>(rows), name, "router of an ONNX model");
}

OnnxValue onnx_moe_layer(OnnxContext& context, const OnnxValue& tokens, const std::string& name) {
  const OnnxMoeLayer layer{
      .context = context, .options = moe_layer_options(context.options), .name = name};
  const auto form = router_row(layer.options.moe.router).onnx;
  const auto writer = std::find_if(kWriters.begin(), kWriters.end(),
                                   [&](const OnnxWriterRow& row) { return row.form == form; });
  TORCH_INTERNAL_ASSERT(writer != kWriters.end(), "no ONNX form of ", layer.options.moe.router);
  const auto output = writer->write(layer, tokens);  // [batch, tokens, dim]
  return layer.options.moe.moe_layer_scale > 0
             ? context.graph.node("Mul", {output, context.weights.exact(name + ".gamma")})
             : output;
}

}  // namespace softmoe

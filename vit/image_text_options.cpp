#include "vit/image_text_options.h"

#include <fmt/format.h>

#include "core/error.h"

namespace softmoe {
namespace {

constexpr std::string_view kTextPrefix = "text-";

}  // namespace

void describe(OptionTable& table, ImageTextOptions& options) {
  describe(table, options.image);
  describe_text_side(table, options);
}

void describe_text_side(OptionTable& table, ImageTextOptions& options) {
  table.add_all(std::string(kTextPrefix), option_table(options.text));
  table.add("image-projection", options.image_projection,
            "a linear map from the features of an image to its embedding (CLIP)");
  table.add("logit-scale", options.logit_scale, "initial factor of cosines; learned",
            {.min = 1e-6, .max = 1e6});
  table.add("has-logit-bias", options.has_logit_bias, "a learned bias of logits (SigLIP)");
  table.add("logit-bias", options.logit_bias, "initial bias of logits");
}

void validate(const ImageTextOptions& options) {
  validate(options.image);
  validate(options.text, std::string(kTextPrefix));
  if (options.image.num_classes != 0) {
    throw UsageError("num-classes", "0 for a model of images and texts",
                     std::to_string(options.image.num_classes));
  }
  if (options.image.dist_token) {
    throw UsageError("dist-token", "none in a model of images and texts", "true");
  }
  if (!options.image_projection && options.image.feature_dim() != options.embedding_dim()) {
    throw UsageError("image-projection",
                     fmt::format("true unless images have features of the width of texts, {}",
                                 options.embedding_dim()),
                     fmt::format("features of width {}", options.image.feature_dim()));
  }
  if (!(options.logit_scale > 0)) {
    throw UsageError("logit-scale", "above 0", fmt::format("{}", options.logit_scale));
  }
}

}  // namespace softmoe

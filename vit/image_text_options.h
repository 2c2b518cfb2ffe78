#pragma once
/// The options of a model of images and texts.

#include "vit/text_options.h"

namespace softmoe {

/// Everything that defines a model of images and texts but its weights. The defaults are those of
/// CLIP (Radford et al., arXiv:2103.00020).
struct ImageTextOptions {
  VitOptions image;  ///< without a head: num_classes is 0
  TextOptions text;
  /// A linear map without bias from the features of an image to the width of embeddings (CLIP).
  /// Without it both widths must be equal.
  bool image_projection = true;
  double logit_scale = 1.0 / 0.07;  ///< initial factor of cosines; learned as its logarithm
  bool has_logit_bias = false;      ///< logits have a learned bias (SigLIP)
  double logit_bias = -10.0;        ///< its initial value

  bool operator==(const ImageTextOptions&) const = default;

  /// Width of the embeddings of images and texts.
  int64_t embedding_dim() const { return text.embedding_dim(); }
};

/// Options of the image tower by their own names, then describe_text_side().
void describe(OptionTable& table, ImageTextOptions& options);
/// Options of the text tower after "text-", and those of embeddings.
void describe_text_side(OptionTable& table, ImageTextOptions& options);

/// Throws UsageError that names the option if the options contradict each other.
void validate(const ImageTextOptions& options);

}  // namespace softmoe

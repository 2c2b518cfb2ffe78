#pragma once
/// Weights of one model for another of the same body: other classes, image size or channels.

#include <string>
#include <vector>

#include "core/named_tensors.h"
#include "vit/options.h"
#include "vit/position_embedding.h"

namespace softmoe {

/// Weights that fit the new model.
struct AdaptedWeights {
  NamedTensors tensors;
  std::vector<std::string> changed;  ///< "pos_embed: 4x4 to 7x7 patches", for the log
  std::vector<std::string> fresh;    ///< parameters that start anew: the head
};

/// The options of a model that is fine-tuned: `from` with slots fixed as trained (a larger image
/// gets no more slots, as in the paper). Classes, image size and channels may then be changed.
VitOptions transfer_options(const VitOptions& from);

/// `body` with the parts of `other` that adapt_weights() changes: image and patch size, channels,
/// classes, and tokens before the patches with their positions.
VitOptions with_adapted_parts(VitOptions body, const VitOptions& other);

/// Carries `tensors` of a model `from` over to `to`:
/// - the head is dropped if `keep_head` is false;
/// - learned position embeddings are resized to the new grid; entries of prefix tokens that `to`
///   does not have are dropped; if it has no positions for prefix tokens, they are added to these;
/// - routers by position send a patch of the new grid to the expert of the nearest old one;
/// - patch embeddings are resized to another patch size (resize_patch_embedding), summed into one
///   channel, or repeated over more and scaled so that their sum stays (timm's rule).
/// Throws InputError that names `path` if bodies differ (width, depth, heads).
AdaptedWeights adapt_weights(NamedTensors tensors, const VitOptions& from, const VitOptions& to,
                             PositionResize resize, bool keep_head, const std::string& path);

}  // namespace softmoe

#pragma once
/// Contrastive losses of images and texts. The logits of all pairs are made some rows at a time,
/// and again in the backward pass, so memory does not grow with the square of the batch.

#include <torch/types.h>

#include <cstdint>

namespace softmoe {

/// Embeddings of a batch of pairs, and what makes logits of them: exp(log_scale) * cosine + bias.
struct EmbeddedPairs {
  torch::Tensor images;     ///< [batch, dim], of length 1
  torch::Tensor texts;      ///< [batch, dim], of length 1; row i belongs to image i
  torch::Tensor log_scale;  ///< []
  torch::Tensor bias = {};  ///< []; undefined: 0
  /// [batch] int64: images and texts of one group belong together, too, such as equal texts;
  /// undefined: every pair is a group of its own.
  torch::Tensor groups = {};
};

/// The mean of the cross-entropies of texts for each image and of images for each text, []. The
/// targets of a group are spread evenly. Sources: Radford et al., arXiv:2103.00020, figure 3; of
/// groups, Yang et al., arXiv:2204.03610, equations 3 and 4. `rows` of logits are held at once.
/// Computed in fp32 (fp64 if the embeddings are fp64), whatever the autocast. Throws
/// c10::ValueError for shapes that do not fit.
torch::Tensor softmax_contrastive_loss(const EmbeddedPairs& pairs, int64_t rows);

/// The sum over all pairs of an image and a text of the binary cross-entropy of belonging together,
/// divided by the batch, []. Source: Zhai et al., arXiv:2303.15343, algorithm 1. Otherwise as
/// softmax_contrastive_loss().
torch::Tensor sigmoid_contrastive_loss(const EmbeddedPairs& pairs, int64_t rows);

}  // namespace softmoe

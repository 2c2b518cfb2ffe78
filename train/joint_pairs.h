#pragma once
/// Updates of several batches of images and texts whose loss is that of all pairs together.

#include <vector>

#include "train/image_text_run.h"
#include "train/train_step.h"

namespace softmoe {

/// The forward pass of both towers. Blocks of the text tower are numbered behind those of images in
/// `routing`, which may be null.
EmbeddedPairs embed_pairs(ImageTextRun& run, const Batch& batch, const RoutingWants& wants,
                          RoutingRecords* routing);

/// The loss of all pairs of `batches` together, and its gradients by the embeddings of each batch:
/// towers get theirs from embeddings that are computed again, batch by batch, so that no more
/// activations than those of one batch are held (Gao et al., arXiv:2101.06983, section 3.2;
/// open_clip's --accum-freq). The gradients of the factor and bias of logits are added to theirs.
/// `random_keys`: of the random numbers of each batch.
std::vector<JointGradients> joint_gradients(ImageTextRun& run, const std::vector<Batch>& batches,
                                            const ObjectiveOptions& objectives,
                                            torch::Dtype compute_dtype,
                                            const std::vector<uint64_t>& random_keys);

}  // namespace softmoe

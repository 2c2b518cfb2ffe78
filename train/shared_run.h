#pragma once
/// What the processes of a run tell each other beside gradients. In a run of one process, every
/// function gives back what it gets.

#include <torch/nn/module.h>

#include "checkpoints/checkpoint.h"
#include "parallel/world.h"
#include "train/expert_parallel.h"
#include "train/model_update.h"
#include "train/not_finite.h"
#include "train/run_folder.h"

namespace softmoe {

/// Gives all processes the parameters and buffers that `module` has on rank 0.
void share_tensors(const World& world, const torch::nn::Module& module);

/// The checkpoint to resume from, which rank 0 reads and the others get from it. Throws what
/// RunFolder::load() throws.
/// Of tensors of which processes have parts, each gets its own; `experts` is null if there are
/// none.
SavedRun load_shared(const World& world, const ExpertParallel* experts, const RunFolder& folder);

/// The images that any process could not read, as Json of BatchFeed::bad_images(), each once.
Json all_bad_images(const World& world, const Json& own);

/// What all processes know of an update that cannot be made.
NotFinite all_not_finite(const World& world, NotFinite own);

/// `update` with the routing of the images of all processes; `share` of them were in this one.
ModelUpdate with_all_routing(const World& world, ModelUpdate update, double share);

}  // namespace softmoe

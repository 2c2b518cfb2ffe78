#pragma once
/// Policies of augmentation by the texts that `--aa` takes.

#include <string>

#include "datasets/augment/augment_policy.h"

namespace softmoe {

/// The policy that `text` names, parts of which are separated by "-", as timm has them:
/// "rand-m9-n2-mstd0.5-inc1-p0.5" (RandAugment, Cubuk et al., arXiv:1909.13719; "tweights", "t3a"
/// and "t3aw" choose other operations, "w0" is the weights of timm before 1.0),
/// "original-mstd0.5" or another of auto_augment_policies(), "augmix-m5-w4-d2", or "ta_wide"
/// (TrivialAugment, Mueller and Hutter, arXiv:2103.10158, with torchvision's ranges). Throws
/// UsageError that names the part that is wrong and what is allowed.
AugmentPolicy parse_augment_policy(const std::string& text);

}  // namespace softmoe

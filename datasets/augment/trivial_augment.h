#pragma once
/// The policy without parameters.

#include "datasets/augment/augment_policy.h"

namespace softmoe {

/// TrivialAugment (Mueller and Hutter, arXiv:2103.10158): one of 14 operations at one of 31
/// magnitudes, with the ranges of torchvision's TrivialAugmentWide.
AugmentPolicy trivial_augment();

}  // namespace softmoe

#pragma once
/// Searched policies of augmentation: pairs of operations of which each image gets one.

#include <array>
#include <span>
#include <string_view>

namespace softmoe {

/// An operation, how often it is applied and how strongly.
struct PolicyStep {
  std::string_view operation = {};  ///< of augment_operations(); empty: none
  double probability = 1.0;
  double magnitude = 0.0;  ///< from 0 to 10
};

using SubPolicy = std::array<PolicyStep, 2>;

/// A policy that `--aa` can name.
struct AutoAugmentPolicy {
  std::string_view name;
  std::string_view source;
  std::span<const SubPolicy> sub_policies;
  std::string_view posterize;  ///< the operation that posterizes; empty: as the steps say
};

/// AutoAugment's policy for ImageNet (Cubuk et al., arXiv:1805.09501), that of the TPU code for
/// EfficientNet, both also with the other kind of posterizing, and 3-Augment (Touvron et al.,
/// arXiv:2204.07118), as timm has them.
std::span<const AutoAugmentPolicy> auto_augment_policies();

}  // namespace softmoe

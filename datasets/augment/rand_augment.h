#pragma once
/// The sets of operations that RandAugment and AugMix draw from, as timm has them.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace softmoe {

/// An operation that RandAugment may draw.
struct RandAugmentMember {
  std::string_view operation;         ///< of augment_operations()
  std::optional<double> weight = {};  ///< how often it is drawn; none: all alike
};

/// The set of timm's "w0" before 1.0.
inline constexpr const char* kOldWeightsSet = "w0";

/// Returns true if a part "tNAME" of a policy may name the set.
bool is_rand_augment_set(const std::string& name);
/// "weights, 3a, 3aw"
std::string rand_augment_set_names();

/// The members of the set `name`; an empty name is the usual 15. `increasing` chooses kinds that
/// change images more at higher magnitudes, for sets that have a choice.
std::vector<RandAugmentMember> rand_augment_members(const std::string& name, bool increasing);

std::vector<std::string_view> aug_mix_operations();

}  // namespace softmoe

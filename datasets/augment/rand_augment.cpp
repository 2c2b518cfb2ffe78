#include "datasets/augment/rand_augment.h"

#include <algorithm>
#include <array>

namespace softmoe {
namespace {

/// An operation, and its kind that increases with magnitude if it has one, and its weight in "w0".
struct UsualMember {
  std::string_view operation;
  std::string_view increasing;
  double old_weight;
};

constexpr std::array<UsualMember, 15> kUsual{{
    {"AutoContrast", "AutoContrast", 0.025},
    {"Equalize", "Equalize", 0.005},
    {"Invert", "Invert", 0},
    {"Rotate", "Rotate", 0.3},
    {"Posterize", "PosterizeIncreasing", 0},
    {"Solarize", "SolarizeIncreasing", 0.005},
    {"SolarizeAdd", "SolarizeAdd", 0.005},
    {"Color", "ColorIncreasing", 0.025},
    {"Contrast", "ContrastIncreasing", 0.005},
    {"Brightness", "BrightnessIncreasing", 0.005},
    {"Sharpness", "SharpnessIncreasing", 0.025},
    {"ShearX", "ShearX", 0.2},
    {"ShearY", "ShearY", 0.2},
    {"TranslateXRel", "TranslateXRel", 0.1},
    {"TranslateYRel", "TranslateYRel", 0.1},
}};

/// A set that "tNAME" names.
struct NamedSet {
  std::string_view name;
  std::vector<RandAugmentMember> (*members)();
};

std::vector<RandAugmentMember> weighted() {
  return {{"Rotate", 3},
          {"ShearX", 2},
          {"ShearY", 2},
          {"TranslateXRel", 1},
          {"TranslateYRel", 1},
          {"ColorIncreasing", 0.25},
          {"SharpnessIncreasing", 0.25},
          {"AutoContrast", 0.25},
          {"SolarizeIncreasing", 0.05},
          {"SolarizeAdd", 0.05},
          {"ContrastIncreasing", 0.05},
          {"BrightnessIncreasing", 0.05},
          {"Equalize", 0.05},
          {"PosterizeIncreasing", 0.05},
          {"Invert", 0.05}};
}

std::vector<RandAugmentMember> three_augment() {
  return {{"SolarizeIncreasing"}, {"Desaturate"}, {"GaussianBlur"}};
}

std::vector<RandAugmentMember> weighted_three_augment() {
  return {{"SolarizeIncreasing", 6},
          {"Desaturate", 6},
          {"GaussianBlur", 6},
          {"Rotate", 3},
          {"ShearX", 2},
          {"ShearY", 2},
          {"PosterizeIncreasing", 1},
          {"AutoContrast", 1},
          {"ColorIncreasing", 1},
          {"SharpnessIncreasing", 1},
          {"ContrastIncreasing", 1},
          {"BrightnessIncreasing", 1},
          {"Equalize", 1},
          {"Invert", 1}};
}

constexpr std::array<NamedSet, 3> kNamedSets{
    {{"weights", weighted}, {"3a", three_augment}, {"3aw", weighted_three_augment}}};

}  // namespace

bool is_rand_augment_set(const std::string& name) {
  return std::any_of(kNamedSets.begin(), kNamedSets.end(),
                     [&name](const NamedSet& set) { return set.name == name; });
}

std::string rand_augment_set_names() {
  std::string names;
  for (const auto& set : kNamedSets) {
    names += (names.empty() ? "" : ", ") + std::string(set.name);
  }
  return names;
}

std::vector<RandAugmentMember> rand_augment_members(const std::string& name, bool increasing) {
  for (const auto& set : kNamedSets) {
    if (set.name == name) {
      return set.members();
    }
  }
  std::vector<RandAugmentMember> members;
  for (const auto& row : kUsual) {
    members.push_back({increasing ? row.increasing : row.operation, {}});
    if (name == kOldWeightsSet) {
      members.back().weight = row.old_weight;
    }
  }
  return members;
}

std::vector<std::string_view> aug_mix_operations() {
  return {"AutoContrast",
          "ColorIncreasing",
          "ContrastIncreasing",
          "BrightnessIncreasing",
          "SharpnessIncreasing",
          "Equalize",
          "Rotate",
          "PosterizeIncreasing",
          "SolarizeIncreasing",
          "ShearX",
          "ShearY",
          "TranslateXRel",
          "TranslateYRel"};
}

}  // namespace softmoe

#pragma once
/// The table of operations that policies of augmentation consist of, by timm's names.

#include <cstdint>
#include <span>
#include <string_view>

#include "datasets/augment/affine.h"

namespace softmoe {

/// Lengths of moves that levels are shares of.
struct MoveLengths {
  double pixels = 100.0;  ///< at level 10, of moves in pixels
  double share = 0.45;    ///< at level 10, of moves by a share of the side
};

/// An operation on uint8 images with 1 or 3 channels.
struct AugmentOperation {
  std::string_view name;
  std::string_view meaning;
  /// The argument at `level`, mostly from 0 to 10. `chance`, uniform in [0, 1), decides about what
  /// is random in it: the sign of a move, above 0.5 the other one. Null: it has no argument.
  double (*argument)(double level, double chance, const MoveLengths& lengths);
  cv::Mat (*apply)(const cv::Mat& image, double argument, const AffineStyle& style);
};

std::span<const AugmentOperation> augment_operations();

/// The operation called `name`, which exists.
const AugmentOperation& augment_operation(std::string_view name);

}  // namespace softmoe

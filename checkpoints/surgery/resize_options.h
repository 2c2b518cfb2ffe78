#pragma once
/// How learned positions are resized to another image size: `--resize-mode`.

#include <string>

#include "core/options.h"
#include "vit/position_embedding.h"

namespace softmoe {

struct ResizeOptions {
  std::string resize_mode;  ///< empty: the default of the model

  bool operator==(const ResizeOptions&) const = default;

  /// The mode that was given, else `usual`; it becomes the value of the option.
  PositionResize resolve(PositionResize usual);
};
void describe(OptionTable& table, ResizeOptions& options);

}  // namespace softmoe

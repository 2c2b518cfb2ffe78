#include "checkpoints/surgery/resize_options.h"

namespace softmoe {

PositionResize ResizeOptions::resolve(PositionResize usual) {
  const auto mode = enum_value<PositionResize>(resize_mode).value_or(usual);
  resize_mode = enum_name(mode);
  return mode;
}

void describe(OptionTable& table, ResizeOptions& options) {
  table.add(
      "resize-mode", options.resize_mode,
      "interpolation of position embeddings to another image size, stored with the model; "
      "patches of another size go by the pseudo-inverse of resizing (FlexiViT)",
      {.choices = enum_names<PositionResize>(), .follows = "usual for the model that was read"});
}

}  // namespace softmoe

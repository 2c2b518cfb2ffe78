#pragma once
/// The image size and the positions of a foreign model.

#include <string>
#include <vector>

#include "checkpoints/convert/foreign_weights.h"
#include "checkpoints/convert/reading_notes.h"

namespace softmoe {

/// Sets `img_size`, `pos_embed` and `pos_embed_prefix` of `options`, whose patches and prefix
/// tokens are known. `img_size` is what the user says, else empty. `notes` get all that shapes do
/// not tell. Throws InputError for a table of positions that fits no
/// image size, and UsageError if it does not fit that of the user.
void guess_positions(const ForeignWeights& weights, const Json& config,
                     const std::vector<int64_t>& img_size, VitOptions& options,
                     ReadingNotes& notes);

}  // namespace softmoe

#pragma once
/// From the outline of a glyph to a distorted, blurred, noisy picture of it.

#include <cstdint>

#include "core/rng.h"
#include "datasets/characters/alphabet.h"
#include "datasets/characters/character_options.h"

namespace softmoe {

/// Draws `glyph` with distortions from `rng` into `pixels` [size, size], white on black. The order
/// of random draws is fixed, so the picture depends only on the state of `rng`.
void render_glyph(const GlyphView& glyph, const CharacterOptions& options, Rng& rng,
                  uint8_t* pixels);

}  // namespace softmoe

#pragma once
/// From the outline of a glyph to a distorted, blurred, noisy picture of it.

#include <cstdint>

#include "core/rng.h"
#include "datasets/characters/alphabet.h"
#include "datasets/characters/character_options.h"

namespace softmoe {

/// Draws `glyph` with distortions from `rng` into `pixels` [size, size], white on black. Every draw
/// comes from `rng` in a fixed order, so one state of it gives one picture.
void render_glyph(const GlyphView& glyph, const CharacterOptions& options, Rng& rng,
                  uint8_t* pixels);

}  // namespace softmoe

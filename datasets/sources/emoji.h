#pragma once
/// Emoji as pictures with names, of two packages of Debian.

#include <filesystem>
#include <memory>

#include "datasets/dataset.h"
#include "datasets/splits.h"

namespace softmoe {

/// The pictures of the font NotoColorEmoji.ttf (package fonts-noto-color-emoji) that emoji-test.txt
/// (package unicode-data) names, both in `folder` if that is not empty: 136 x 128 pixels in colour
/// on white. Classes are the groups of the list, captions the names. About a fifth of the subjects,
/// by a hash of their names, are the val split, with all variants of each. Throws InputError that
/// names the package of a file that is missing.
std::unique_ptr<Dataset> open_emoji(const std::filesystem::path& folder, SplitKind split);

}  // namespace softmoe

#pragma once
/// How many images of a set may be unreadable.

#include <cstdint>
#include <vector>

#include "datasets/dataset.h"

namespace softmoe {

/// The number of `images` that may be unreadable: the share `max_share` of them, but one at least
/// unless the share is 0.
int64_t allowed_bad_images(double max_share, int64_t images);

/// Throws InputError that lists `bad`, found among `images`, if they are too many.
void check_bad_images(const std::vector<BadImage>& bad, double max_share, int64_t images);

}  // namespace softmoe

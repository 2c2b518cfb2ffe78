#pragma once
/// How the threads of a team divide the images of a batch, and rows into blocks.

#include <cstdint>

#include "runtime/thread_team.h"

namespace softmoe {

/// What one thread does at a time: a share of all images, waiting for the other threads between the
/// steps, or one whole image, whose values stay in its caches.
struct Portion {
  const ThreadTeam& team;
  int64_t images;      ///< of the batch
  int64_t image = -1;  ///< -1: a share of all

  /// This portion of the pieces of all images, `each` per image.
  IndexRange of(int64_t each) const {
    return image < 0 ? team.share(images * each) : IndexRange{image * each, (image + 1) * each};
  }
  /// Waits for the other threads if this is a share; call it before values of theirs are read.
  void barrier() const {
    if (image < 0) {
      team.barrier();
    }
  }
  /// The place, below places(), for values of an image that only its next steps need.
  int64_t place(int64_t of_image) const { return of_image + (image < 0 ? 0 : team.rank - image); }
};

/// Returns true if each of `threads` threads takes whole images: none waits for another.
inline bool takes_whole_images(int64_t images, int64_t threads) { return images % threads == 0; }

/// The number of places for values of one image: one per thread if threads take whole images, else
/// one per image.
inline int64_t places(int64_t images, int64_t threads) {
  return takes_whole_images(images, threads) ? threads : images;
}

/// Calls function(portion) for all portions of this thread.
template <typename Function>
void for_each_portion(const ThreadTeam& team, int64_t images, const Function& function) {
  if (!takes_whole_images(images, team.size)) {
    function(Portion{team, images});
    return;
  }
  const auto share = team.share(images);
  for (int64_t image = share.first; image < share.last; ++image) {
    function(Portion{team, images, image});
  }
}

/// Calls function(first, count) for blocks of `range` of about the same size, at most `max_rows`.
template <typename Function>
void for_each_block(const IndexRange& range, int64_t max_rows, const Function& function) {
  const int64_t total = range.last - range.first;
  const int64_t blocks = (total + max_rows - 1) / max_rows;
  for (int64_t index = 0; index < blocks; ++index) {
    const int64_t first = total * index / blocks;
    function(range.first + first, total * (index + 1) / blocks - first);
  }
}

}  // namespace softmoe

#pragma once
/// Which samples make a batch, and how it is made of them: the work of a loader without its
/// threads.

#include <memory>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "datasets/loader.h"

namespace softmoe {

/// The key of the random numbers of a sample: of view `repeat` of image `index` in `epoch`, counted
/// over all its places in the epoch.
uint64_t augment_key(uint64_t seed, int64_t epoch, int64_t index, int64_t repeat = 0);

/// A place of a batch whose image could not be read.
struct BadPlace {
  int64_t row;
  BadImage image;
};

/// A batch in work. Its rows are independent, so that several threads may fill it.
struct PendingBatch {
  int64_t number = 0;
  int64_t first = 0;  ///< place of the first row in the batch of all processes
  int64_t rows = 0;
  torch::Tensor images;   ///< [rows, channels, height, width]
  torch::Tensor labels;   ///< [rows], or [rows, classes] of a multi-label set
  torch::Tensor indices;  ///< [rows]
};

/// Knows the order of one epoch. fill() is safe to call from several threads at once.
class BatchMaker {
 public:
  BatchMaker(const Dataset& dataset, Transform transform, const LoaderOptions& options);

  int64_t batches_per_epoch() const;
  void set_epoch(int64_t epoch);

  PendingBatch start_batch(int64_t number) const;
  /// Fills rows [begin, end) and returns the bad ones among them.
  std::vector<BadPlace> fill(const PendingBatch& batch, int64_t begin, int64_t end) const;

  /// The batch without its bad places, or with other samples there; notes the bad images. Empty if
  /// nothing is left. Throws InputError if too many images are bad.
  Batch finish(PendingBatch batch, std::vector<BadPlace> bad);

  const std::vector<BadImage>& bad_images() const { return bad_images_; }
  /// Treats `images` as noted already.
  void restore_bad_images(std::vector<BadImage> images);

 private:
  int64_t index_at(int64_t position) const;
  /// The number of the view that the image at `position` has there, among its views of the epoch.
  int64_t view_at(int64_t position) const;
  /// The place in the order of the epoch that gives the image at `position`.
  int64_t place_of(int64_t position) const;
  bool write_row(const PendingBatch& batch, int64_t row, int64_t position,
                 std::vector<BadPlace>& bad) const;
  void write_sample(const PendingBatch& batch, int64_t row, int64_t position) const;
  void fill_places(const PendingBatch& batch, const std::vector<int64_t>& rows);
  void note_bad(const BadImage& image);

  const Dataset& dataset_;
  Transform transform_;
  LoaderOptions options_;
  std::optional<ClassSampler> sampler_;  // std::nullopt if each image comes once
  int64_t epoch_ = 0;
  std::vector<int64_t> order_;        // empty: that of the set
  std::vector<int64_t> occurrences_;  // of the images in order_; empty: all 0
  std::vector<BadImage> bad_images_;
  std::unordered_set<int64_t> known_bad_;
};

}  // namespace softmoe

#pragma once
/// Batches of transformed samples, prepared by threads ahead of their use.

#include <torch/types.h>

#include <memory>
#include <optional>
#include <vector>

#include "core/options.h"
#include "datasets/batch_share.h"
#include "datasets/dataset.h"
#include "datasets/sampling.h"
#include "datasets/transforms.h"

namespace softmoe {

/// Some samples, ready for a model.
struct Batch {
  torch::Tensor images;   ///< [batch, channels, height, width] float32
  torch::Tensor labels;   ///< [batch] int64; of a multi-label set [batch, classes] float32: 0 or 1
  torch::Tensor indices;  ///< [batch] int64: the samples' places in the data set
  int64_t number = 0;     ///< of the batch in its epoch
  /// [batch, classes] float32: shares of the classes if they replace `labels`, else undefined.
  torch::Tensor targets = {};
  torch::Tensor token_ids = {};  ///< [batch, tokens] int64: texts of the images, if there are any
  torch::Tensor token_lengths = {};  ///< [batch] int64
  torch::Tensor text_groups = {};    ///< [batch] int64: equal for texts that say the same
  /// Of questions about the images, the answers that can be given: [answers, tokens] int64 with
  /// their lengths [answers], and for each image the numbers of its own, [batch, choices] int64,
  /// -1 where it has no more. The texts above are the questions then.
  torch::Tensor answer_ids = {};
  torch::Tensor answer_lengths = {};
  torch::Tensor choices = {};
  torch::Tensor features = {};  ///< [batch, feature_dim] that were computed of the images before
};

/// Max images that are computed together, far more than memory holds.
inline constexpr int64_t kMaxBatch = 1'000'000'000;
/// Max threads that prepare images.
inline constexpr int64_t kMaxWorkers = 1000;

struct LoaderOptions {
  int64_t batch_size = 64;
  int64_t workers = 1;   ///< threads; 0: next() does the work
  int64_t prefetch = 4;  ///< max batches that are ready or in work ahead of the caller
  double max_bad_images = 0.01;
  uint64_t seed = 0;
  int64_t repeats = 1;  ///< views of an image one after the other in an epoch
  Sampling sampling =
      Sampling::kUniform;      ///< how often the images of each class come, if `shuffle`
  bool shuffle = false;        ///< no effect on an endless set, whose images never repeat
  bool drop_last = false;      ///< every batch has batch_size samples
  bool pin_memory = false;     ///< for copies to CUDA devices
  bool log_bad_images = true;  ///< false if the caller reports them
  BatchShare share = {};       ///< the rows of every batch that this process gets

  bool operator==(const LoaderOptions&) const = default;
};
/// Describes the flags batch-size, workers, prefetch and max-bad-images; code sets the others.
void describe(OptionTable& table, LoaderOptions& options);

/// Goes through a data set in epochs. The order of an epoch is a permutation keyed by (seed,
/// epoch), and the randomness of a sample is keyed by (seed, epoch, index), so batches are the same
/// for any number of workers, and start() may begin anywhere. An epoch of an endless set takes the
/// next size() images. With `repeats`, an epoch has as many views, and that many fewer images
/// (Hoffer et al., arXiv:1901.09335).
///
/// With another `sampling` than kUniform, an epoch still has size() places, which ClassSampler
/// gives to images by their classes. An image that comes several times in an epoch is augmented
/// anew each time; with `repeats`, each time gives that many views.
///
/// An image that cannot be read is logged, listed in bad_images() and left out. Its batch is
/// smaller then (and never empty), or, with drop_last, has a sample that follows the batch in its
/// place. If too many images are bad (bad_images.h), next() throws InputError that lists them.
/// Any other exception of the data set reaches the caller of next().
///
/// With a `share` of several processes, next() gives its rows of each batch alone, and no batch of
/// which it has none. A sample that replaces a bad one may then be another than in one process.
class Loader {
 public:
  /// `dataset` must outlive the loader. Throws UsageError if the set is empty, or if it is endless
  /// and `sampling` is not kUniform.
  Loader(const Dataset& dataset, Transform transform, LoaderOptions options);
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  int64_t batches_per_epoch() const;

  /// Begins `epoch` at `first_batch`; batches in work are dropped. Call it before the first next().
  void start(int64_t epoch, int64_t first_batch = 0);

  /// The next batch; std::nullopt at the end of the epoch.
  std::optional<Batch> next();

  /// The bad images so far, each once, in the order in which they were found.
  const std::vector<BadImage>& bad_images() const;
  /// Sets the bad images that an earlier loader of the set found: they count towards the limit and
  /// are not logged again.
  void restore_bad_images(std::vector<BadImage> images);

 private:
  class Work;
  std::unique_ptr<Work> work_;
};

}  // namespace softmoe

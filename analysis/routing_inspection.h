#pragma once
/// The routing of a model over images: statistics of its MoE layers and maps to look at.

#include <torch/types.h>

#include <string>
#include <vector>

#include "analysis/dispatch_maps.h"
#include "analysis/routing_summary.h"
#include "checkpoints/model_checkpoint.h"
#include "datasets/transforms.h"

namespace softmoe {

/// The maps of one MoE block over some images.
struct DispatchSheet {
  int64_t block = 0;
  std::vector<int64_t> slots;  ///< that are drawn, or experts if routing is sparse
  std::string caption;         ///< what the picture shows
  cv::Mat picture;             ///< uint8 RGB
};

/// Runs a model over images, batch by batch. Statistics are about all images; the first ones are
/// kept and can be drawn.
class RoutingInspection {
 public:
  /// `loaded`, called `name` in errors, computes on its own device. The first `count` images are
  /// kept. Throws InputError if the router mixes experts and sends them no tokens, and like
  /// stored_preprocess().
  RoutingInspection(LoadedModel loaded, std::string name, int64_t count);

  /// Runs the images of `set` at `indices` as one batch; `captions`, one for each, stand below the
  /// images that are drawn. Throws InputError if the model has no MoE layer.
  void add(const Dataset& set, const std::vector<int64_t>& indices,
           const std::vector<std::string>& captions);

  const ModelDescription& description() const { return loaded_.description; }
  /// Statistics of each block.
  std::vector<LayerRouting> layers() const { return summary_.layers(); }
  /// The images that can be drawn.
  const std::vector<InspectedImage>& images() const { return images_; }

  /// The maps of the blocks that `options` names, or of all MoE blocks. Throws UsageError for a
  /// block without a MoE layer.
  std::vector<DispatchSheet> draw(const DispatchMapOptions& options) const;

 private:
  std::vector<int64_t> blocks_to_draw(const std::vector<int64_t>& asked) const;
  RoutingRecord drawn_record(int64_t block) const;

  LoadedModel loaded_;
  std::string name_;
  size_t count_;
  torch::Device device_;
  RoutingKind kind_;
  RoutingSummary summary_;
  PreprocessOptions preprocess_;
  std::vector<InspectedImage> images_;
  std::vector<RoutingRecords> records_;  // of the batches that hold these images
};

}  // namespace softmoe

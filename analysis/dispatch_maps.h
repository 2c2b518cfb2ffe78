#pragma once
/// Pictures of Soft MoE routing: which patches a slot is made of, and which patches its output goes
/// to (Puigcerver et al., arXiv:2308.00951, section 5 and appendix E).

#include <torch/types.h>

#include <cstdint>
#include <opencv2/core/mat.hpp>
#include <string>
#include <vector>

#include "core/options.h"
#include "softmoe/router.h"
#include "vit/options.h"

namespace softmoe {

/// Which slots of a layer are drawn.
enum class SlotChoice {
  kImportant,  ///< the largest sums of combine weights
  kPeaked,     ///< the largest single dispatch weights
  kEven,       ///< evenly spaced over all slots
};
template <>
inline constexpr std::array<EnumName<SlotChoice>, 3> kEnumNames<SlotChoice>{
    {{SlotChoice::kImportant, "important"},
     {SlotChoice::kPeaked, "peaked"},
     {SlotChoice::kEven, "even"}}};

struct DispatchMapOptions {
  std::vector<int64_t> blocks{};  ///< numbers of MoE blocks; empty: all of them
  int64_t slots = 8;              ///< drawn in a block
  SlotChoice slot_choice = SlotChoice::kImportant;
  bool smooth = false;      ///< interpolate maps between patches
  int64_t tile_size = 104;  ///< px, of the longer side of one map

  bool operator==(const DispatchMapOptions&) const = default;
};

void describe(OptionTable& table, DispatchMapOptions& options);

/// An image that is shown beside its maps.
struct InspectedImage {
  cv::Mat picture;      ///< uint8, 1 or 3 (RGB) channels
  std::string caption;  ///< a few words, such as the label
};

/// Images as a model takes them, [batch, channels, height, width], back in pixels: `mean` and `std`
/// are those of the preprocessing, one value or one per channel.
std::vector<cv::Mat> to_pictures(const torch::Tensor& images, const std::vector<double>& mean,
                                 const std::vector<double>& std);

/// `weights` [batch, tokens, experts, slots_per_expert] over the grid of patches:
/// [batch, slots, grid_height, grid_width], without the tokens that are no patches.
torch::Tensor weights_over_grid(const torch::Tensor& weights, const VitOptions& model);

/// The numbers of at most `count` slots of a layer, ascending.
std::vector<int64_t> choose_slots(const RoutingRecord& record, int64_t count, SlotChoice choice);

/// One sheet of a layer, uint8 RGB: for each image its dispatch maps above its combine maps. The
/// first map is about all slots: the sum of a token's dispatch weights, or the largest of its
/// combine weights; the others are those of `slots`. Colours run from 0 to the largest weight of
/// the map, which is written below it. `record` must be about as many images as there are `images`.
cv::Mat draw_dispatch_sheet(const std::vector<InspectedImage>& images, const RoutingRecord& record,
                            const VitOptions& model, const std::vector<int64_t>& slots,
                            const DispatchMapOptions& options);

}  // namespace softmoe

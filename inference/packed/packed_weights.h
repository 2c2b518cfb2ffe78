#pragma once
/// Weights of linear maps in the layout that products read, packed once.

#include <torch/types.h>

#include "kernels/packed_product.h"

namespace softmoe {

/// How the weights of a linear map are packed.
struct PackingOptions {
  Precision precision = Precision::kFloat32;
  /// Values of the depth that are multiplied at a time, a multiple of 32; 0: all of them.
  int64_t chunk = 0;
  /// The factor of each output, [columns] fp32; undefined: 1.
  torch::Tensor factors{};
  /// With 8-bit weights: left factors get 16 bits instead of 8.
  bool wide_rows = false;
};

/// The weights and biases of one linear map, or of the same map of many experts.
class PackedWeights {
 public:
  PackedWeights() = default;
  /// Packs `weight` [columns, depth] or [experts, columns, depth] of any floating dtype, and
  /// `bias` [columns] or [experts, columns], which may be undefined. If nobody else holds
  /// `weight`, and it has the size and dtype of the result, it is packed in its own memory.
  PackedWeights(torch::Tensor weight, const torch::Tensor& bias, const PackingOptions& options);
  /// `count` maps without values that merge_panel() fills with mixtures of those of `source`, in
  /// fp32 if they are fp32, else in bf16.
  static PackedWeights unfilled(const PackedWeights& source, int64_t count);

  /// Sets columns [32 panel, 32 panel + 32) of map `index` to the sum of those of all maps of
  /// `source` times `weights` [maps]. `factors` [maps, 32] is scratch memory.
  void merge_panel(const PackedWeights& source, const float* weights, int64_t index, int64_t panel,
                   float* factors);

  bool defined() const { return units_.defined(); }
  Precision precision() const { return precision_; }
  bool wide_rows() const { return wide_rows_; }
  int64_t experts() const { return experts_; }
  int64_t columns() const { return columns_; }
  int64_t depth() const { return depth_; }
  /// Values of the depth of a chunk, and how many chunks there are.
  int64_t chunk() const { return chunk_; }
  int64_t chunks() const { return (depth_ + chunk_ - 1) / chunk_; }
  /// Bytes of weights.
  int64_t bytes() const { return defined() ? units_.numel() * int64_t{sizeof(kernels::Unit)} : 0; }

  /// The panels from column `column` (a multiple of 32) on of chunk `chunk`.
  kernels::RightPanels panels(int64_t expert, int64_t column, int64_t chunk) const;
  /// Null if there is no bias.
  const float* bias(int64_t expert, int64_t column) const;
  /// Of 8-bit weights; else null.
  const float* scales(int64_t expert, int64_t column) const;
  const int32_t* sums(int64_t expert, int64_t column, int64_t chunk) const;

 private:
  void pack(const torch::Tensor& weight, const torch::Tensor& factors);

  Precision precision_ = Precision::kFloat32;
  bool wide_rows_ = false;
  int64_t experts_ = 0;
  int64_t columns_ = 0;
  int64_t depth_ = 0;
  int64_t chunk_ = 0;
  int64_t panel_units_ = 0;  // of the whole depth
  torch::Tensor units_;      // int32 [experts, panels, units, 32]
  torch::Tensor bias_;       // fp32 [experts, columns]
  torch::Tensor scales_;     // fp32 [experts, columns]
  torch::Tensor sums_;       // int32 [experts, chunks, columns]
};

}  // namespace softmoe

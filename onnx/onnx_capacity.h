#pragma once
/// Routing groups of sparse routers and the rows of an expert for each. The number of images may be
/// known to the graph alone.

#include "onnx/onnx_ops.h"
#include "softmoe/capacity.h"

namespace softmoe {

/// Groups of a batch, as as_groups() of softmoe/routers/sparse_router.h makes them.
struct OnnxGroups {
  OnnxLength count = 0;
  OnnxLength images = 0;  ///< of a group
  OnnxLength tokens = 0;  ///< of a group
};

OnnxGroups onnx_groups(OnnxGraph& graph, const OnnxLength& batch, int64_t tokens_of_image,
                       int64_t group_images);

/// expert_capacity() of softmoe/capacity.h for `requests_of_image` times a number of images.
struct CapacityRule {
  int64_t requests_of_image = 0;
  int64_t experts = 0;
  double factor = 1.0;
  CapacityRounding rounding = CapacityRounding::kUp;
  int64_t multiple = 0;
};

/// The capacity for `images` images. If the graph computes it, it does so in integers, so that all
/// runtimes agree. Throws UsageError if the factor is no fraction of moderate integers.
OnnxLength onnx_capacity(OnnxGraph& graph, const CapacityRule& rule, const OnnxLength& images);

}  // namespace softmoe

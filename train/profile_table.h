#pragma once
/// The time of each part of the updates of a training run, from the events of a profiler.

#include <map>
#include <string>
#include <vector>

#include "runtime/profiler.h"
#include "vit/cost.h"

namespace softmoe {

/// The time of one part of an update without its own parts.
struct PartTime {
  std::string path;  ///< names of the parts around it and its own: "update/forward/blocks.3/attn"
  double seconds = 0.0;   ///< outside of the backward pass
  double backward = 0.0;  ///< of its functions in the backward pass, in seconds
};

/// The times of "update" and all parts inside, in the order in which they first began. Functions of
/// the backward pass belong to the innermost part that made them; the rest of "update/backward" is
/// that part's own time.
std::vector<PartTime> part_times(const std::vector<ProfileEvent>& events);

/// The table of `times` of `updates` updates: milliseconds and share of an update per part, and,
/// for parts of the model whose products `gflops` counts by their paths there ("blocks.3/attn"),
/// GFLOP/s and the share of `peak` GFLOP/s. `gflops` counts the forward pass of all images of an
/// update; the backward pass has twice as many.
std::string profile_table(const std::vector<PartTime>& times, int64_t updates,
                          const std::map<std::string, double>& gflops, double peak);

}  // namespace softmoe

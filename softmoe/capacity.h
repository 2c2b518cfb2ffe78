#pragma once
/// How many tokens an expert takes.

#include <cstdint>

#include "softmoe/moe_options.h"

namespace softmoe {

/// Rows that each of `experts` experts gets if `requests` (token, expert) pairs are shared out:
/// requests * factor / experts, rounded up or to the nearest, at least 1, then raised to a multiple
/// of `multiple` (0: as it is). Source: compute_capacity of google-research/vmoe. Throws
/// c10::ValueError if experts or factor is not positive, or if requests or multiple is negative.
int64_t expert_capacity(int64_t requests, int64_t experts, double factor, CapacityRounding rounding,
                        int64_t multiple);

/// The rounding that `options` ask for, or the router's `usual` one.
CapacityRounding capacity_rounding(const SparseOptions& options, CapacityRounding usual);

/// The capacity factor of a sparse router that trains or evaluates.
double capacity_factor(const MoeOptions& options, bool training);

}  // namespace softmoe

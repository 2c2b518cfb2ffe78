#pragma once
/// Fixed maps of tokens to experts, by their position or by the content of their image patch.
/// Source: Roller et al., Hash Layers, arXiv:2106.04426.
///
/// Codes of patches are computed in integers that fp64 holds exactly, so that they do not depend on
/// the batch, the number of threads, the device or the precision of the model.

#include <torch/types.h>

#include <cstdint>

namespace softmoe {

/// The hash of a position under a seed: splitmix64(seed * 2^32 + position).
uint64_t position_hash(int64_t seed, int64_t position);

/// Experts of positions, [positions] int64: positions in the order of their hashes are dealt out in
/// turn, so that loads differ by 1 at most.
torch::Tensor balanced_map(int64_t positions, int64_t experts, int64_t seed);
/// Position modulo experts, [positions] int64.
torch::Tensor modulo_map(int64_t positions, int64_t experts);
/// Neighbours together: position * experts / positions, [positions] int64.
torch::Tensor block_map(int64_t positions, int64_t experts);

/// Pixels as integers: rounded to bf16, whatever their precision is, then to multiples of 2^-12,
/// cut off at +-16. Gives fp64 of the shape of `pixels`, in units of 2^-12.
torch::Tensor fixed_point(const torch::Tensor& pixels);
/// Standard normal numbers in those units, [rows, columns] int64, equal for equal keys.
torch::Tensor random_fixed_point(int64_t rows, int64_t columns, uint64_t key);

/// Codes [count] int64 of `points` [count, dim]: bit b is set if the projection by column b of
/// `projection` [dim, bits] is above `threshold` [bits] (Charikar, STOC 2002: sign random
/// projections). All are of one floating-point dtype.
torch::Tensor projection_codes(const torch::Tensor& points, const torch::Tensor& projection,
                               const torch::Tensor& threshold);

/// Experts of codes, [codes] int64, from how often each code was seen, `counts` [codes] int64: the
/// most frequent first, each to the expert with the least load. Codes that were not seen count as
/// seen once, so that they spread over experts, too. Ties: the lower code, the lower expert.
torch::Tensor deal_codes(const torch::Tensor& counts, int64_t experts);

}  // namespace softmoe

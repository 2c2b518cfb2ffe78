#pragma once
/// Balanced linear assignment: every token goes to one expert, every expert takes its share of the
/// tokens, and the sum of scores is as large as it gets. Plain arrays; nothing here knows tensors.
///
/// An auction over places (Bertsekas and Castanon, 1989, "The auction algorithm for the
/// transportation problem"): an unassigned token bids for the cheapest place of the expert that is
/// worth most to it after prices, as much as it could pay before its second expert became better,
/// plus a step. Whoever held that place is unassigned again. Each bid raises a place by at least
/// one step, and no place rises above twice the range of the scores and two steps, so the auction
/// ends whatever the scores are; at its end the sum of scores is within tokens * step of the
/// optimum.

#include <cstdint>
#include <span>
#include <vector>

namespace softmoe {

/// Scores of tokens for experts: values[token * experts + expert].
struct ScoreTable {
  std::span<const float> values;
  int64_t tokens = 0;
  int64_t experts = 0;
};

/// The step of bids: max(largest difference of a token's scores / 50, 1e-4), at most that of BASE
/// layers (Lewis et al., arXiv:2103.16716), which take the range of all scores: what a token adds
/// to all of its scores does not change where it goes. Scores that are not finite count as the
/// token's lowest.
double assignment_step(const ScoreTable& scores);

/// Places of each expert for a balanced assignment: tokens / experts. Where that has a remainder,
/// the experts that most tokens score highest (the lower index among equals) have one place more,
/// so that loads differ by at most one; with fewer tokens than experts each expert has one place.
std::vector<int64_t> balanced_places(const ScoreTable& scores);

/// The expert of each token, at most places[expert] tokens to an expert, exactly as many if
/// there are as many places as tokens. Larger steps end sooner, further from the optimum; steps
/// below 1e-5 of the largest difference of a token's scores count as that. Deterministic; scores
/// that are not finite count as the token's lowest. Throws c10::ValueError if sizes disagree or
/// places are too few.
std::vector<int64_t> assign(const ScoreTable& scores, std::span<const int64_t> places, double step);

/// assign() with balanced_places() and assignment_step().
std::vector<int64_t> balanced_assignment(const ScoreTable& scores);

}  // namespace softmoe

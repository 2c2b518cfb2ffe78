#include "softmoe/assignment/auction.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace softmoe {
namespace {

/// Experts that are looked at together; rows of scores are padded to a multiple of it.
constexpr int64_t kLanes = 16;
/// Farther than any two experts are apart: scores are scaled to [0, 1].
constexpr float kNever = 1e9F;
/// More than any token can be worth more to one expert than to another, prices included.
constexpr float kLargestLead = 4.0F;

/// The finite scores of one token.
struct ScoreRange {
  float low = 0.0F;
  float high = 0.0F;
  double width() const { return static_cast<double>(high) - static_cast<double>(low); }
};

std::span<const float> row_of(const ScoreTable& scores, int64_t token) {
  return scores.values.subspan(static_cast<size_t>(token * scores.experts),
                               static_cast<size_t>(scores.experts));
}

ScoreRange range_of(std::span<const float> row) {
  ScoreRange range{.low = std::numeric_limits<float>::infinity(),
                   .high = -std::numeric_limits<float>::infinity()};
  for (const float value : row) {
    if (std::isfinite(value)) {
      range.low = std::min(range.low, value);
      range.high = std::max(range.high, value);
    }
  }
  return range.low <= range.high ? range : ScoreRange{};
}

double largest_width(const ScoreTable& scores) {
  double width = 0.0;
  for (int64_t token = 0; token < scores.tokens; ++token) {
    width = std::max(width, range_of(row_of(scores, token)).width());
  }
  return width;
}

void check_sizes(const ScoreTable& scores) {
  TORCH_CHECK_VALUE(scores.tokens >= 0 && scores.experts > 0 &&
                        scores.values.size() == static_cast<size_t>(scores.tokens) *
                                                    static_cast<size_t>(scores.experts),
                    "ScoreTable: expected tokens * experts scores, found ", scores.values.size(),
                    " for ", scores.tokens, " tokens and ", scores.experts, " experts");
}

/// A token's best expert after prices, what it is worth, and what the second best is worth.
struct Preference {
  int64_t expert = 0;
  float best = 0.0F;
  float second = 0.0F;
};

/// Among equals the expert of the lowest index. `row` and `prices` hold `blocks` * kLanes values.
Preference preference(const float* row, const float* prices, int64_t blocks) {
  // Lane by lane first, without a branch.
  alignas(64) float best[kLanes];
  alignas(64) float second[kLanes];
  alignas(64) int32_t block_of[kLanes];
  for (int64_t lane = 0; lane < kLanes; ++lane) {
    best[lane] = row[lane] - prices[lane];
    second[lane] = -2 * kNever;
    block_of[lane] = 0;
  }
  for (int64_t block = 1; block < blocks; ++block) {
    const float* block_row = row + block * kLanes;
    const float* block_prices = prices + block * kLanes;
    const auto index = static_cast<int32_t>(block);
    for (int64_t lane = 0; lane < kLanes; ++lane) {
      const float value = block_row[lane] - block_prices[lane];
      const float lower = value < best[lane] ? value : best[lane];
      second[lane] = lower > second[lane] ? lower : second[lane];
      block_of[lane] = value > best[lane] ? index : block_of[lane];
      best[lane] = value > best[lane] ? value : best[lane];
    }
  }
  int64_t winner = 0;
  for (int64_t lane = 1; lane < kLanes; ++lane) {
    const bool tie = best[lane] == best[winner] && block_of[lane] < block_of[winner];
    winner = best[lane] > best[winner] || tie ? lane : winner;
  }
  float runner_up = second[winner];
  for (int64_t lane = 0; lane < kLanes; ++lane) {
    runner_up = lane != winner ? std::max(runner_up, best[lane]) : runner_up;
  }
  return {.expert = block_of[winner] * kLanes + winner, .best = best[winner], .second = runner_up};
}

struct Place {
  float price;
  int32_t token;
};

bool dearer(const Place& a, const Place& b) { return a.price > b.price; }

/// The taken places of one expert, the cheapest first to be lost.
class Places {
 public:
  explicit Places(int64_t count) : count_(static_cast<size_t>(count)) { taken_.reserve(count_); }

  /// The smallest price of the next place.
  float price() const {
    if (taken_.size() < count_) {
      return 0.0F;
    }
    return taken_.empty() ? kNever : taken_.front().price;
  }

  /// Gives a place to `bid`; the token that loses its place, or -1.
  int32_t take(const Place& bid) {
    if (taken_.size() < count_) {
      taken_.push_back(bid);
      std::push_heap(taken_.begin(), taken_.end(), dearer);
      return -1;
    }
    const int32_t loser = taken_.front().token;
    sink(bid);
    return loser;
  }

  const std::vector<Place>& taken() const { return taken_; }

 private:
  /// Replaces the cheapest place by `bid`.
  void sink(const Place& bid) {
    size_t hole = 0;
    for (size_t child = 1; child < taken_.size(); child = 2 * hole + 1) {
      if (child + 1 < taken_.size() && taken_[child + 1].price < taken_[child].price) {
        ++child;
      }
      if (bid.price <= taken_[child].price) {
        break;
      }
      taken_[hole] = taken_[child];
      hole = child;
    }
    taken_[hole] = bid;
  }

  size_t count_;
  std::vector<Place> taken_;  // a heap
};

/// Scores between 0 and 1 for a largest width of a token's scores, 1 for its best expert, in rows
/// of whole blocks; the experts that fill them up are never chosen.
std::vector<float> scaled_rows(const ScoreTable& scores, double width, int64_t blocks) {
  std::vector<float> rows(static_cast<size_t>(scores.tokens * blocks * kLanes), -kNever);
  const double scale = width > 0 ? 1.0 / width : 0.0;
  for (int64_t token = 0; token < scores.tokens; ++token) {
    const auto row = row_of(scores, token);
    const auto range = range_of(row);
    float* scaled = rows.data() + token * blocks * kLanes;
    for (const float score : row) {
      const double value = std::isfinite(score) ? score : range.low;
      *scaled++ = static_cast<float>(1.0 + (value - range.high) * scale);
    }
  }
  return rows;
}

class Auction {
 public:
  Auction(const ScoreTable& scores, std::span<const int64_t> places, double step)
      : tokens_(scores.tokens),
        blocks_((scores.experts + kLanes - 1) / kLanes),
        prices_(static_cast<size_t>(blocks_ * kLanes), kNever),
        experts_(places.begin(), places.end()) {
    const double width = largest_width(scores);
    rows_ = scaled_rows(scores, width, blocks_);
    // Of scores between 0 and 1 a step of 1 is coarse, and one of 1e-5 still changes any price.
    step_ = static_cast<float>(width > 0 ? std::clamp(step / width, 1e-5, 1.0) : 1.0);
    for (size_t expert = 0; expert < experts_.size(); ++expert) {
      prices_[expert] = experts_[expert].price();
    }
  }

  /// `token` takes a place; the token that loses it, or -1.
  int32_t bid(int32_t token) {
    const auto wish = preference(rows_.data() + token * blocks_ * kLanes, prices_.data(), blocks_);
    const auto expert = static_cast<size_t>(wish.expert);
    // Without a second expert kNever would drown the price.
    const float lead = std::min(wish.best - wish.second, kLargestLead);
    const int32_t loser =
        experts_[expert].take({.price = prices_[expert] + lead + step_, .token = token});
    prices_[expert] = experts_[expert].price();
    return loser;
  }

  std::vector<int64_t> expert_of_token() const {
    std::vector<int64_t> expert_of(static_cast<size_t>(tokens_), -1);
    for (size_t expert = 0; expert < experts_.size(); ++expert) {
      for (const auto& place : experts_[expert].taken()) {
        expert_of[static_cast<size_t>(place.token)] = static_cast<int64_t>(expert);
      }
    }
    return expert_of;
  }

 private:
  int64_t tokens_;
  int64_t blocks_;
  float step_ = 0.0F;
  std::vector<float> rows_;    // [tokens, blocks * lanes]
  std::vector<float> prices_;  // [blocks * lanes]
  std::vector<Places> experts_;
};

}  // namespace

double assignment_step(const ScoreTable& scores) {
  check_sizes(scores);
  return std::max(largest_width(scores) / 50.0, 1e-4);
}

std::vector<int64_t> balanced_places(const ScoreTable& scores) {
  check_sizes(scores);
  const int64_t experts = scores.experts;
  if (scores.tokens < experts) {
    return std::vector<int64_t>(static_cast<size_t>(experts), 1);
  }
  std::vector<int64_t> places(static_cast<size_t>(experts), scores.tokens / experts);
  const int64_t remainder = scores.tokens % experts;
  if (remainder == 0) {
    return places;
  }
  std::vector<int64_t> first_choices(static_cast<size_t>(experts), 0);
  for (int64_t token = 0; token < scores.tokens; ++token) {
    const auto row = row_of(scores, token);
    ++first_choices[static_cast<size_t>(std::max_element(row.begin(), row.end()) - row.begin())];
  }
  std::vector<size_t> order(static_cast<size_t>(experts));
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return first_choices[a] > first_choices[b]; });
  for (int64_t rank = 0; rank < remainder; ++rank) {
    ++places[order[static_cast<size_t>(rank)]];
  }
  return places;
}

std::vector<int64_t> assign(const ScoreTable& scores, std::span<const int64_t> places,
                            double step) {
  check_sizes(scores);
  TORCH_CHECK_VALUE(places.size() == static_cast<size_t>(scores.experts) &&
                        std::all_of(places.begin(), places.end(), [](auto n) { return n >= 0; }) &&
                        std::accumulate(places.begin(), places.end(), int64_t{0}) >= scores.tokens,
                    "assign: expected places of each expert, together at least ", scores.tokens);
  TORCH_CHECK_VALUE(scores.tokens <= std::numeric_limits<int32_t>::max(),
                    "assign: too many tokens, ", scores.tokens);
  Auction auction(scores, places, step);
  // The loser of a place bids next: its row is likely still in the cache.
  for (int32_t token = 0; token < scores.tokens; ++token) {
    for (int32_t bidder = token; bidder >= 0; bidder = auction.bid(bidder)) {
    }
  }
  return auction.expert_of_token();
}

std::vector<int64_t> balanced_assignment(const ScoreTable& scores) {
  return assign(scores, balanced_places(scores), assignment_step(scores));
}

}  // namespace softmoe

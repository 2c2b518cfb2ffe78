#include "inference/packed/sequence_rows.h"

#include <algorithm>
#include <numeric>

namespace softmoe {
namespace {

/// Texts per group that divide the work evenly enough.
constexpr int64_t kTextsPerGroup = 4;

}  // namespace

SequenceRows SequenceRows::of_images(int64_t images, int64_t tokens) {
  SequenceRows sequences;
  sequences.max_tokens_ = tokens;
  for (int64_t image = 0; image < images; ++image) {
    sequences.first_.push_back((image + 1) * tokens);
  }
  return sequences;
}

SequenceRows SequenceRows::of_texts(const PackedSequences& texts) {
  SequenceRows sequences;
  sequences.are_texts_ = true;
  for (const auto& [count, length] : texts.runs) {
    sequences.max_tokens_ = std::max(sequences.max_tokens_, length);
    for (int64_t text = 0; text < count; ++text) {
      sequences.first_.push_back(sequences.first_.back() + length);
    }
  }
  return sequences;
}

int64_t SequenceRows::sequence_of(int64_t row) const {
  return std::upper_bound(first_.begin(), first_.end(), row) - first_.begin() - 1;
}

std::vector<int64_t> SequenceRows::groups(int64_t threads, int64_t max_rows) const {
  std::vector<int64_t> begins;
  if (!are_texts_) {
    if (count() % threads == 0) {
      begins.resize(first_.size());
      std::iota(begins.begin(), begins.end(), 0);
    }
    return begins;
  }
  const int64_t each = (rows() + threads * max_rows - 1) / (threads * max_rows);
  const int64_t groups = threads * each;
  if (threads > 1 && count() < groups * kTextsPerGroup) {
    return begins;
  }
  for (int64_t group = 0; group < groups; ++group) {
    begins.push_back(sequence_of(rows() * group / groups));
  }
  begins.push_back(count());
  return begins;
}

}  // namespace softmoe

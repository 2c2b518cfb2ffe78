#pragma once
/// Bytes as tokens: no vocabulary, every text.

#include "text/tokenizer.h"

namespace softmoe {

/// Ids as ByT5's: 0 fills, 1 ends a text, 2 begins it; byte b is 3 + b. Source: Xue et al.,
/// arXiv:2105.13626, section 3.
class ByteTokenizer : public Tokenizer {
 public:
  std::string_view kind() const override { return "bytes"; }
  std::string data() const override { return ""; }
  int64_t vocab_size() const override { return 259; }
  int64_t end_id() const override { return 1; }
  int64_t pad_id() const override { return 0; }
  int64_t usual_tokens() const override { return 128; }
  std::vector<int64_t> encode(const std::string& text, int64_t max_tokens) const override;
  std::string decode(std::span<const int64_t> ids) const override;
};

}  // namespace softmoe

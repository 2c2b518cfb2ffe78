#pragma once
/// Byte-pair tokens whose vocabulary is learned from texts (text/bpe_training.h).

#include "text/pair_merges.h"
#include "text/tokenizer.h"

namespace softmoe {

/// Byte-level pairs over GPT-2's parts of texts: decode(encode(text)) is the text. Ids: 0 fills, 1
/// ends a text, 2 begins it, then the 256 bytes in the order of GPT-2's table, then one per merge.
class BpeTokenizer : public Tokenizer {
 public:
  /// `merges` are those of learn_merges(): merge i makes symbol 259 + i of earlier symbols.
  explicit BpeTokenizer(std::vector<PairMerge> merges);

  /// Reads what data() gives: one merge per line, its two parts as printable_bytes(). Throws
  /// InputError that names `where` and the line for a part that no earlier line makes.
  static BpeTokenizer from_data(const std::string& data, const std::string& where);

  std::string_view kind() const override { return "bpe"; }
  std::string data() const override;
  int64_t vocab_size() const override { return std::ssize(bytes_); }
  int64_t end_id() const override { return 1; }
  int64_t pad_id() const override { return 0; }
  int64_t usual_tokens() const override { return 64; }
  std::vector<int64_t> encode(const std::string& text, int64_t max_tokens) const override;
  std::string decode(std::span<const int64_t> ids) const override;

 private:
  std::vector<PairMerge> list_;
  PairMerges merges_;
  std::vector<std::string> bytes_;  // by symbol; empty for marks
};

}  // namespace softmoe

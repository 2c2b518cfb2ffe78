#pragma once
/// CLIP's byte-pair tokens.

#include <array>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "text/pair_merges.h"
#include "text/tokenizer.h"

namespace softmoe {

/// The two lists that CLIP's files hold.
struct ClipVocabulary {
  std::vector<std::string> tokens;  ///< by id
  std::vector<std::pair<std::string, std::string>> merges;

  bool operator==(const ClipVocabulary&) const = default;
};

/// The vocabulary that follows from `merges` alone: bytes, bytes that end words (`</w>`), merges,
/// `<|startoftext|>`, `<|endoftext|>`. Source: openai/CLIP, simple_tokenizer.py.
ClipVocabulary clip_vocabulary(std::vector<std::pair<std::string, std::string>> merges);

/// Text in lower case and Unicode's form C, split by clip_parts(); the last symbol of a part ends a
/// word (`</w>`). Symbols that the vocabulary lacks are its mark of the end, as in Hugging Face's
/// CLIPTokenizer. Source: Radford et al., arXiv:2103.00020, section 2.4; openai/CLIP.
class ClipTokenizer : public Tokenizer {
 public:
  /// Throws InputError that names `where`: a mark that is missing, a token that stands twice, a
  /// merge of parts that are no tokens.
  ClipTokenizer(ClipVocabulary vocabulary, const std::string& where);

  /// Reads what data() gives: JSON with the lists "tokens" and "merges". Throws InputError.
  static ClipTokenizer from_data(const std::string& data, const std::string& where);

  const ClipVocabulary& vocabulary() const { return vocabulary_; }

  std::string_view kind() const override { return "clip"; }
  std::string data() const override;
  int64_t vocab_size() const override { return std::ssize(vocabulary_.tokens); }
  int64_t end_id() const override { return end_; }
  int64_t pad_id() const override { return end_; }
  int64_t usual_tokens() const override { return 77; }
  std::vector<int64_t> encode(const std::string& text, int64_t max_tokens) const override;
  std::string decode(std::span<const int64_t> ids) const override;

 private:
  void append_part(const std::string& part, std::vector<int64_t>& ids) const;

  ClipVocabulary vocabulary_;
  int64_t begin_ = 0;
  int64_t end_ = 0;
  std::array<int32_t, 256> inner_{};  // the id of each byte within a word
  std::array<int32_t, 256> last_{};   // the id of each byte at the end of a word
  PairMerges merges_{{}};
};

}  // namespace softmoe

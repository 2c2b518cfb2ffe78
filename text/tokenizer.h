#pragma once
/// Texts as numbers: what a text tower reads.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace softmoe {

/// Splits texts into tokens of a vocabulary. Every member is safe to call from several threads at
/// once.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  /// The name of its row in the table of kinds (text/tokenizers.h).
  virtual std::string_view kind() const = 0;
  /// The vocabulary as text: make_tokenizer() of kind() and this gives an equal tokenizer.
  virtual std::string data() const = 0;

  /// Number of different ids: all are in [0, vocab_size()).
  virtual int64_t vocab_size() const = 0;
  /// The mark of the end of a text.
  virtual int64_t end_id() const = 0;
  /// What fills the places behind the tokens of a text.
  virtual int64_t pad_id() const = 0;
  /// Returns true if text towers of this vocabulary read padding as tokens, as SigLIP's do.
  virtual bool reads_padding() const { return false; }
  /// The tokens per text that models of this vocabulary usually have.
  virtual int64_t usual_tokens() const = 0;

  /// The ids of `text` with the marks of its begin and end, if the kind has them; at most
  /// `max_tokens` >= 2, of which the last is the mark of the end. Bytes that are not UTF-8 are read
  /// as U+FFFD by kinds that need code points.
  virtual std::vector<int64_t> encode(const std::string& text, int64_t max_tokens) const = 0;

  /// The text of `ids` without marks; what encode() changes, such as capital letters, stays
  /// changed. Throws c10::ValueError for an id outside the vocabulary.
  virtual std::string decode(std::span<const int64_t> ids) const = 0;
};

}  // namespace softmoe

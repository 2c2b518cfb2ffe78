#pragma once
/// SigLIP's tokens: a model of SentencePiece.

#include <memory>
#include <string>
#include <vector>

#include "text/sentence_pieces.h"
#include "text/tokenizer.h"

namespace softmoe {

/// Text in lower case, without ASCII punctuation, with single spaces; the mark of the end (id 1)
/// also fills, and text towers read it as tokens. Sources: Zhai et al., arXiv:2303.15343,
/// google-research/big_vision (c4_en, canonicalize_text), Kudo and Richardson, arXiv:1808.06226.
class SiglipTokenizer : public Tokenizer {
 public:
  /// `model` has the bytes of a spiece.model. Throws InputError that names `where` if it is none.
  SiglipTokenizer(std::string model, const std::string& where);

  /// Reads what data() gives. Throws InputError.
  static std::unique_ptr<SiglipTokenizer> from_data(const std::string& data,
                                                    const std::string& where);

  /// The bytes of the spiece.model.
  const std::string& model() const { return model_; }

  std::string_view kind() const override { return "siglip"; }
  /// The bytes of the model in base64.
  std::string data() const override;
  int64_t vocab_size() const override { return pieces_.size(); }
  int64_t end_id() const override { return 1; }
  int64_t pad_id() const override { return 1; }
  bool reads_padding() const override { return true; }
  int64_t usual_tokens() const override { return 64; }
  std::vector<int64_t> encode(const std::string& text, int64_t max_tokens) const override;
  std::string decode(std::span<const int64_t> ids) const override;

 private:
  std::string model_;
  SentencePieces pieces_;
};

/// `text` as SigLIP reads it: lower case, no ASCII punctuation, single spaces between words.
std::string siglip_text(const std::string& text);

}  // namespace softmoe

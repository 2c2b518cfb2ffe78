#pragma once
/// Models of SentencePiece, read without its library (whose copy of protobuf does not go with the
/// one that others link). Source: Kudo and Richardson, arXiv:1808.06226; google/sentencepiece.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace softmoe {

/// A unigram model: a normaliser, and pieces with log probabilities.
class SentencePieces {
 public:
  /// `model` has the bytes of a .model file. Throws InputError that names `where` if it is none, or
  /// not of unigrams.
  SentencePieces(std::string_view model, const std::string& where);

  int64_t size() const { return std::ssize(pieces_); }

  /// The pieces of `text` after its normalisation that are most probable together; neighbours that
  /// no piece has are one unknown piece.
  std::vector<int64_t> encode(const std::string& text) const;
  /// The text of pieces; control pieces are left out, unknown ones are U+2047.
  std::string decode(std::span<const int64_t> ids) const;

 private:
  /// The values of a piece's type in the file.
  enum class Kind { kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5 };
  struct Piece {
    std::string text;
    float score = 0.0F;
    Kind kind = Kind::kNormal;
  };

  void read(std::string_view model, const std::string& where);
  void read_piece(std::string_view message, const std::string& where);
  void read_normalizer(std::string_view message, const std::string& where);
  /// The longest part at the begin of `text` that is replaced, and what replaces it.
  std::pair<size_t, std::string_view> replaced_prefix(std::string_view text) const;
  std::string normalized(const std::string& text) const;

  std::vector<Piece> pieces_;
  std::unordered_map<std::string, int64_t> place_of_;  // of pieces that texts are split into
  size_t longest_ = 0;                                 // bytes of a piece
  int64_t unknown_ = 0;
  float min_score_ = 0.0F;
  float max_score_ = 0.0F;
  std::vector<uint32_t> trie_;  // of what is replaced: a double array of Darts
  std::string replacements_;    // texts that end with a zero
  bool adds_prefix_ = true;
  bool removes_spaces_ = true;
};

}  // namespace softmoe

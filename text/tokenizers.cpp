#include "text/tokenizers.h"

#include <algorithm>
#include <array>

#include "core/error.h"
#include "core/registry.h"
#include "text/bpe_tokenizer.h"
#include "text/byte_tokenizer.h"
#include "text/clip_tokenizer.h"
#include "text/siglip_tokenizer.h"

namespace softmoe {
namespace {

std::unique_ptr<Tokenizer> make_bytes(const std::string& data, const std::string& where) {
  if (!data.empty()) {
    throw InputError(where, "no data of the tokenizer 'bytes'", "some");
  }
  return std::make_unique<ByteTokenizer>();
}

std::unique_ptr<Tokenizer> make_bpe(const std::string& data, const std::string& where) {
  return std::make_unique<BpeTokenizer>(BpeTokenizer::from_data(data, where));
}

std::unique_ptr<Tokenizer> make_clip(const std::string& data, const std::string& where) {
  return std::make_unique<ClipTokenizer>(ClipTokenizer::from_data(data, where));
}

std::unique_ptr<Tokenizer> make_siglip(const std::string& data, const std::string& where) {
  return SiglipTokenizer::from_data(data, where);
}

constexpr std::array kTokenizers{
    TokenizerRow{"bytes", "the bytes of UTF-8", "Xue et al., arXiv:2105.13626", make_bytes},
    TokenizerRow{"bpe", "pairs of bytes that are learned from texts",
                 "Sennrich et al., arXiv:1508.07909", make_bpe},
    TokenizerRow{"clip", "CLIP's pairs of bytes", "Radford et al., arXiv:2103.00020", make_clip},
    TokenizerRow{"siglip", "SigLIP's model of SentencePiece", "Zhai et al., arXiv:2303.15343",
                 make_siglip},
};

}  // namespace

std::span<const TokenizerRow> tokenizer_rows() { return kTokenizers; }

std::unique_ptr<Tokenizer> make_tokenizer(const std::string& kind, const std::string& data,
                                          const std::string& where) {
  const auto row = std::find_if(kTokenizers.begin(), kTokenizers.end(),
                                [&](const TokenizerRow& each) { return each.name == kind; });
  if (row == kTokenizers.end()) {
    throw InputError(where + ": tokenizer", "one of " + known_names(tokenizer_rows()),
                     "'" + printable_text(kind) + "'");
  }
  return row->make(data, where);
}

}  // namespace softmoe

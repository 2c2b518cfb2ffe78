#include <stdexcept>

#include "fuzz/format_lists.h"
#include "text/tokenizer_file.h"

namespace softmoe::fuzz {
namespace {

namespace fs = std::filesystem;

/// Reads a vocabulary and splits a text by it: all ids are its own.
void read_vocabulary(const fs::path& path) {
  const auto tokenizer = read_tokenizer(path);
  const auto ids = tokenizer->encode("A photo of 2 cats \xE2\x80\x94 \xEF\xBC\xA1\xC3\xA9\xFF!",
                                     /*max_tokens=*/64);
  for (const int64_t id : ids) {
    if (id < 0 || id >= tokenizer->vocab_size()) {
      throw std::runtime_error("an id outside the vocabulary: " + std::to_string(id));
    }
  }
  tokenizer->decode(ids);
}

std::vector<std::string> fixture(const std::string& name) {
  return {file_text(std::string(SOFTMOE_FIXTURES) + "/tokenizers/" + name)};
}

/// A field of protobuf with a length.
std::string field(int number, const std::string& bytes) {
  return std::string{static_cast<char>(number << 3 | 2), static_cast<char>(bytes.size())} + bytes;
}

/// A piece of a unigram model with the log probability -1.
std::string piece(const std::string& text, char type) {
  const std::string score{"\x15\x00\x00\x80\xBF", 5};
  return field(1, field(1, text) + score + std::string{'\x18', type});
}

std::vector<std::string> spiece_seeds() {
  const auto normalizer = field(3, std::string{"\x18\x01\x20\x01", 4});
  auto seeds = fixture("siglip/spiece.model");
  seeds.push_back(piece("<unk>", 2) + piece("</s>", 3) +
                  piece("\xE2\x96\x81"
                        "a",
                        1) +
                  piece("cat", 1) + piece("\xE2\x96\x81", 1) + piece("s", 1) + normalizer);
  return seeds;
}

std::vector<std::string> merges_seeds() {
  return {"#version: 0.2\na n\nan d</w>\nc a\nca t</w>\n"};
}

std::vector<std::string> tokenizer_json_seeds() { return fixture("clip/tokenizer.json"); }

}  // namespace

std::vector<Format> vocabulary_formats_to_fuzz() {
  return {
      {"spiece", "x.model", prepare_nothing, read_vocabulary, {{spiece_seeds, write_bytes}}},
      {"clip_merges", "x.txt", prepare_nothing, read_vocabulary, {{merges_seeds, write_bytes}}},
      {"tokenizer_json",
       "tokenizer.json",
       prepare_nothing,
       read_vocabulary,
       {{tokenizer_json_seeds, write_bytes}}},
  };
}

}  // namespace softmoe::fuzz

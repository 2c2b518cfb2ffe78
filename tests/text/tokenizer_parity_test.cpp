/// The ids of Hugging Face's tokenizers, of a carried fixture and of the libraries themselves.

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "io/atomic_file.h"
#include "support/peers.h"
#include "support/temporary_folder.h"
#include "text/bpe_tokenizer.h"
#include "text/bpe_training.h"
#include "text/token_batch.h"
#include "text/tokenizer_file.h"
#include "text/tokenizers.h"

namespace softmoe {
namespace {

namespace fs = std::filesystem;
using Texts = std::vector<std::string>;
using Ids = std::vector<std::vector<int64_t>>;

nlohmann::json read_json_of(const fs::path& path) {
  return nlohmann::json::parse(read_text_file(path));
}

void expect_ids(const Tokenizer& tokenizer, const Texts& texts, const Ids& expected,
                int64_t max_tokens) {
  ASSERT_EQ(texts.size(), expected.size());
  for (size_t text = 0; text < texts.size(); ++text) {
    EXPECT_EQ(tokenizer.encode(texts[text], max_tokens), expected[text]) << texts[text];
  }
  const auto copy =
      make_tokenizer(std::string(tokenizer.kind()), tokenizer.data(), "the stored tokenizer");
  EXPECT_EQ(copy->encode(texts[0], max_tokens), expected[0]);
}

/// Pairs learned here are those of Hugging Face's trainer, and so are the ids.
void expect_same_pairs(const Texts& sentences, const Texts& texts, const nlohmann::json& expected,
                       int64_t max_tokens) {
  PartCounts parts;
  for (const auto& sentence : sentences) {
    parts.add(sentence);
  }
  const Texts merges = expected.at("merges");
  const BpeTokenizer tokenizer(learn_merges(parts, std::ssize(merges)));
  std::string lines;
  for (const auto& merge : merges) {
    lines += merge + "\n";
  }
  EXPECT_EQ(tokenizer.data(), lines);
  expect_ids(tokenizer, texts, expected.at("ids"), max_tokens);
}

void expect_parity(const fs::path& folder) {
  const auto expected = read_json_of(folder / "expected.json");
  const auto given = read_json_of(folder / "texts.json");
  const Texts texts = given.at("texts");
  const int64_t max_tokens = expected.at("max_tokens");
  expect_same_pairs(given.at("sentences"), texts, expected.at("bpe"), max_tokens);
  for (const char* const file : {"clip", "clip/merges.txt", "clip/tokenizer.json"}) {
    SCOPED_TRACE(file);
    expect_ids(*read_tokenizer(folder / file), texts, expected.at("clip").at("ids"), max_tokens);
  }
  if (!expected.contains("siglip")) {
    return;
  }
  const auto siglip = read_tokenizer(folder / "siglip");
  const Ids rows = expected.at("siglip").at("ids");
  const auto batch = encode_texts(*siglip, texts, max_tokens);
  for (size_t row = 0; row < rows.size(); ++row) {
    EXPECT_TRUE(
        torch::equal(batch.ids[static_cast<int64_t>(row)], torch::tensor(rows[row], torch::kInt64)))
        << texts[row];
  }
  EXPECT_TRUE(batch.lengths.eq(max_tokens).all().item<bool>());
}

TEST(TokenizerParity, HoldsWithTheFixture) {
  expect_parity(fs::path(SOFTMOE_FIXTURES) / "tokenizers");
}

TEST(TokenizerParity, HoldsWithTheLibraries) {
  if (!test::peers_python()) {
    GTEST_SKIP() << test::kNoPeers;
  }
  const test::TemporaryFolder folder;
  const auto made = test::run_peer("text/peer_tokenizers.py", {(folder / "made").string()});
  ASSERT_EQ(made.exit_code, 0) << made.error;
  expect_parity(folder / "made");
}

}  // namespace
}  // namespace softmoe

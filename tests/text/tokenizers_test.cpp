#include "text/tokenizers.h"

#include <gmock/gmock.h>

#include "support/error_text.h"
#include "text/bpe_tokenizer.h"
#include "text/bpe_training.h"
#include "text/byte_tokenizer.h"
#include "text/clip_tokenizer.h"
#include "text/siglip_tokenizer.h"
#include "text/token_batch.h"

namespace softmoe {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const std::string kText = "Two cafés, \xF0\x9F\x90\x88 and\n  12 more.";

BpeTokenizer trained_pairs(const std::vector<std::string>& texts, int64_t max_merges) {
  PartCounts parts;
  for (const auto& text : texts) {
    parts.add(text);
  }
  return BpeTokenizer(learn_merges(parts, max_merges));
}

TEST(Tokenizers, BytesAndPairsGiveEveryTextBack) {
  const ByteTokenizer bytes;
  const auto pairs = trained_pairs({kText, kText}, 12);
  EXPECT_EQ(pairs.vocab_size(), 259 + 12);
  const std::string other("\xFF\x00 text that is not UTF-8 \xC3", 26);
  for (const Tokenizer* const tokenizer :
       {static_cast<const Tokenizer*>(&bytes), static_cast<const Tokenizer*>(&pairs)}) {
    for (const auto& text : {kText, other, std::string()}) {
      const auto ids = tokenizer->encode(text, 1000);
      EXPECT_EQ(tokenizer->decode(ids), text);
      EXPECT_EQ(ids.front(), 2);
      EXPECT_EQ(ids.back(), 1);
    }
  }
  EXPECT_LT(pairs.encode(kText, 1000).size(), bytes.encode(kText, 1000).size());
}

TEST(Tokenizers, LongTextsAreCutBeforeTheMarkOfTheEnd) {
  const ByteTokenizer bytes;
  EXPECT_THAT(bytes.encode("abcdef", 4), ElementsAre(2, 3 + 'a', 3 + 'b', 1));
  EXPECT_THROW(bytes.encode("a", 1), c10::ValueError);
  EXPECT_THROW(bytes.decode(std::vector<int64_t>{259}), c10::ValueError);
}

TEST(Tokenizers, MergesDoNotDependOnTheOrderOfTextsAndEndWithRarePairs) {
  const std::vector<std::string> texts{"low lower lowest", "new newer", "wide wider widest low"};
  const auto data = trained_pairs(texts, 9).data();
  EXPECT_EQ(trained_pairs({texts[2], texts[0], texts[1]}, 9).data(), data);
  EXPECT_EQ(trained_pairs({"abc"}, 9).vocab_size(), 259);
  EXPECT_EQ(trained_pairs({"aaaa aaaa"}, 2).data(), "a a\naa aa\n");
}

TEST(Tokenizers, ManyWordsAreMergedInNearlyLinearTime) {
  const auto pairs = trained_pairs({"ab ab", "abab abab"}, 5);
  const std::string word = [] {
    std::string text;
    for (int part = 0; part < 50000; ++part) {
      text += "ab";
    }
    return text;
  }();
  EXPECT_EQ(pairs.decode(pairs.encode(word, 1'000'000)), word);
}

TEST(Tokenizers, AStoredTokenizerIsMadeAgain) {
  const auto pairs = trained_pairs({kText, kText}, 7);
  const auto copy = make_tokenizer("bpe", pairs.data(), "file");
  EXPECT_EQ(copy->encode(kText, 99), pairs.encode(kText, 99));
  EXPECT_EQ(make_tokenizer("bytes", "", "file")->vocab_size(), 259);
  const ClipTokenizer clip(clip_vocabulary({{"c", "a"}, {"ca", "t</w>"}}), "file");
  EXPECT_EQ(clip.vocab_size(), 516);
  EXPECT_THAT(make_tokenizer("clip", clip.data(), "file")->encode("Cat ca", 9),
              ElementsAre(514, 513, 66, 320, 515));
  EXPECT_EQ(clip.decode(clip.encode("A  CAT, caf\xC3\xA9!", 77)), "a cat , caf\xC3\xA9 !");
}

TEST(Tokenizers, BadDataIsNamed) {
  const auto message = [](const std::string& kind, const std::string& data) {
    return test::input_error([&] { make_tokenizer(kind, data, "model.h5"); });
  };
  EXPECT_THAT(message("words", ""), HasSubstr("model.h5: tokenizer: expected one of bytes, bpe"));
  EXPECT_THAT(message("bytes", "x"), HasSubstr("model.h5"));
  EXPECT_THAT(message("bpe", "a b\nab c\nx\n"), HasSubstr("model.h5: merge 3"));
  EXPECT_THAT(message("bpe", "a b\na b\n"), HasSubstr("merge 2"));
  EXPECT_THAT(message("clip", "{}"), HasSubstr("lists of tokens and merges"));
  EXPECT_THAT(message("clip", R"({"tokens": ["a"], "merges": []})"), HasSubstr("<|startoftext|>"));
  EXPECT_THAT(message("siglip", "AAAA"), HasSubstr("a model of SentencePiece"));
  EXPECT_THAT(message("siglip", "A"), HasSubstr("base64"));
}

TEST(SiglipText, IsLowerCaseWithoutPunctuationAndWithSingleSpaces) {
  EXPECT_EQ(siglip_text("  A Photo,\tof: (the)  CAT'S \xC3\x89t\xC3\xA9! "),
            "a photo of the cats \xC3\xA9t\xC3\xA9");
  EXPECT_EQ(siglip_text(" ,. "), "");
}

TEST(EncodeTexts, PadsToTheLongestText) {
  const auto batch = encode_texts(ByteTokenizer(), std::vector<std::string>{"a", "bcd"}, 9);
  EXPECT_EQ(batch.ids.sizes(), (std::vector<int64_t>{2, 5}));
  EXPECT_TRUE(torch::equal(batch.lengths, torch::tensor({3, 5}, torch::kInt64)));
  EXPECT_EQ(batch.ids[0][4].item<int64_t>(), 0);
}

}  // namespace
}  // namespace softmoe

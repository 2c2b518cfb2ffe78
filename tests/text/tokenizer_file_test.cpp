#include "text/tokenizer_file.h"

#include <gmock/gmock.h>

#include "io/atomic_file.h"
#include "support/error_text.h"
#include "support/temporary_folder.h"
#include "text/bpe_tokenizer.h"
#include "text/byte_tokenizer.h"
#include "text/clip_tokenizer.h"

namespace softmoe {
namespace {

using testing::HasSubstr;

TEST(TokenizerFile, EveryFormatIsReadAsItWasWritten) {
  const test::TemporaryFolder folder;
  const ClipTokenizer clip(clip_vocabulary({{"c", "a"}, {"ca", "t</w>"}, {"\xC4\xA0", "a"}}), "");
  for (const char* const name : {"clip.json", "merges.txt.gz", "folder"}) {
    write_tokenizer(clip, folder / name);
    EXPECT_EQ(read_tokenizer(folder / name)->data(), clip.data()) << name;
  }
  EXPECT_EQ(read_tokenizer(folder / "folder/merges.txt")->data(), clip.data());
  const auto spiece =
      read_tokenizer(std::filesystem::path(SOFTMOE_FIXTURES) / "tokenizers/siglip/spiece.model");
  for (const char* const name : {"spiece.model", "spiece.json"}) {
    write_tokenizer(*spiece, folder / name);
    EXPECT_EQ(read_tokenizer(folder / name)->data(), spiece->data()) << name;
  }
  const BpeTokenizer pairs({{3 + 64, 3 + 65, 259}});
  write_tokenizer(pairs, folder / "pairs.json");
  EXPECT_EQ(read_tokenizer(folder / "pairs.json")->data(), pairs.data());
  EXPECT_THAT(test::usage_error([&] { write_tokenizer(pairs, folder / "pairs.model"); }),
              HasSubstr("ends with .json for the tokenizer 'bpe'"));
}

TEST(TokenizerFile, TokensInAnotherOrderNeedAFolder) {
  const test::TemporaryFolder folder;
  auto vocabulary = clip_vocabulary({{"c", "a"}});
  std::swap(vocabulary.tokens[3], vocabulary.tokens[5]);
  const ClipTokenizer clip(vocabulary, "");
  EXPECT_THAT(test::input_error([&] { write_tokenizer(clip, folder / "merges.txt.gz"); }),
              HasSubstr("follows from its merges"));
  write_tokenizer(clip, folder / "any");
  EXPECT_EQ(read_tokenizer(folder / "any")->data(), clip.data());
}

TEST(TokenizerFile, BadFilesAreNamedInOneLine) {
  const test::TemporaryFolder folder;
  const auto message = [&](const std::string& name, const std::string& text) {
    write_text_file(folder / name, text);
    const auto error = test::input_error([&] { read_tokenizer(folder / name); });
    EXPECT_THAT(error, HasSubstr(name));
    return error;
  };
  EXPECT_THAT(message("a.json", "{"), HasSubstr("JSON"));
  EXPECT_THAT(message("b.json", R"({"softmoe_tokenizer": "bpe"})"), HasSubstr("a text 'data'"));
  EXPECT_THAT(message("c.json", R"({"model": {"vocab": {}, "merges": []}})"),
              HasSubstr("tokenizer.json of CLIP"));
  EXPECT_THAT(message("d.txt", "#version: 0.2\na b\nabc\n"), HasSubstr("line 3"));
  EXPECT_THAT(message("e.txt", "#version: 0.2\n"), HasSubstr("merges"));
  EXPECT_THAT(message("f.model", "bytes"), HasSubstr("SentencePiece"));
  EXPECT_THAT(message("g.gif", ""), HasSubstr("a vocabulary"));
  EXPECT_THAT(message("h.txt.gz", std::string("\x1F\x8B\x08\x00 damaged", 12)),
              HasSubstr("damaged"));
  write_text_file(folder / "hf/merges.txt", "a b\n");
  write_text_file(folder / "hf/vocab.json", R"({"a": 0, "b": 0})");
  EXPECT_THAT(test::input_error([&] { read_tokenizer(folder / "hf"); }),
              HasSubstr("vocab.json: 'b': expected an id below 2"));
  write_text_file(folder / "hf/vocab.json",
                  R"({"a": 0, "<|startoftext|>": 1, "<|endoftext|>": 2})");
  EXPECT_THAT(test::input_error([&] { read_tokenizer(folder / "hf"); }),
              HasSubstr("merge 'a b': expected the token 'b'"));
  EXPECT_THAT(test::input_error([&] { read_tokenizer(folder / "nothing.json"); }),
              HasSubstr("nothing.json"));
  EXPECT_THAT(test::input_error([&] { read_tokenizer(folder.path()); }),
              HasSubstr("vocab.json, tokenizer.json or spiece.model"));
}

}  // namespace
}  // namespace softmoe

#include "inference/packed/packed_text.h"

#include <ATen/Parallel.h>

#include "checkpoints/module_tensors.h"
#include "inference/packed/can_pack.h"
#include "inference/packed/packed_errors.h"
#include "softmoe/routers.h"
#include "support/levels.h"
#include "support/tensor_matcher.h"
#include "vit/small_texts.h"

namespace softmoe {
namespace {

using test::TextCase;

TextCase changed_case(const std::string& name, TextOptions options,
                      const std::function<void(TextOptions&)>& change) {
  change(options);
  return {.name = name, .options = std::move(options)};
}

/// Every pool in both directions, every router that takes texts, and sizes that fill no panel.
std::vector<TextCase> text_cases() {
  std::vector<TextCase> cases;
  for (const auto& [pool, name] : kEnumNames<TextPool>) {
    for (const bool causal : {false, true}) {
      cases.push_back(changed_case(std::string(name) + (causal ? "_causal" : "_both_directions"),
                                   test::small_text_options(), [&](auto& options) {
                                     options.pool = pool;
                                     options.causal = causal;
                                   }));
    }
  }
  for (const auto& row : router_rows()) {
    if (row.texts != TextRouting::kNone) {
      cases.push_back({std::string(row.name), test::small_text_moe_options(std::string(row.name))});
    }
  }
  cases.push_back(changed_case("shared_mlp", test::small_text_moe_options(), [](auto& options) {
    options.moe.shared_mlp = true;
    options.moe.expert_dim = 50;
    options.causal = true;
  }));
  cases.push_back(changed_case("odd_sizes", test::small_text_options(), [](auto& options) {
    options.dim = 36;
    options.mlp_dim = 70;
    options.embed_dim = 0;
  }));
  cases.push_back(changed_case("projection_bias", test::small_text_options(), [](auto& options) {
    options.projection_bias = true;
    options.eot_token = 5;
    options.gelu = Activation::kGeluQuick;
  }));
  return cases;
}

class PackedTexts : public testing::TestWithParam<TextCase> {};
INSTANTIATE_TEST_SUITE_P(Towers, PackedTexts, testing::ValuesIn(text_cases()),
                         [](const auto& item) { return item.param.name; });

TEST_P(PackedTexts, ComputeWhatModulesDoOnEveryLevelInEveryPrecision) {
  const auto& options = GetParam().options;
  auto tower = test::lively_text_tower(options);
  tower->eval();
  const auto texts = test::small_texts();
  const torch::NoGradGuard no_grad;
  const auto expected = tower->forward(texts.ids, texts.lengths);  // [batch, embedding_dim]
  test::on_every_level([&] {
    for (const auto precision : test::kPackedPrecisions) {
      PackedText engine(options, named_tensors(*tower), precision);
      const torch::InferenceMode inference;
      EXPECT_LT(test::relative_error(engine.embed(texts.ids, texts.lengths), expected),
                test::packed_error(precision))
          << enum_name(precision);
    }
  });
}

TEST_P(PackedTexts, ComputeTheSameOnAnyNumberOfThreadsWithAnyPadding) {
  const auto& options = GetParam().options;
  // Enough texts for every thread to take some by itself.
  auto texts = test::small_texts();
  texts = {.ids = texts.ids.repeat({5, 1}), .lengths = texts.lengths.repeat({5})};
  const auto padded = test::more_padding(texts, /*more=*/3, /*padding=*/17);
  const int threads = at::get_num_threads();
  PackedText engine(options, named_tensors(*test::lively_text_tower(options)),
                    Precision::kBFloat16);
  const torch::InferenceMode inference;
  at::set_num_threads(1);
  const auto expected = engine.embed(texts.ids, texts.lengths);  // [batch, embedding_dim]
  for (const int count : {1, 2, 3}) {
    at::set_num_threads(count);
    EXPECT_TRUE(test::same_bits(engine.embed(padded.ids, padded.lengths), expected))
        << count << " threads";
  }
  at::set_num_threads(threads);
}

TEST(PackedText, TakesBatchesOfAnySizeOneAfterTheOther) {
  const auto options = test::small_text_moe_options();
  PackedText engine(options, named_tensors(*test::lively_text_tower(options)), Precision::kFloat32);
  const auto texts = test::small_texts();
  const torch::InferenceMode inference;
  const auto together = engine.embed(texts.ids, texts.lengths);  // [batch, embedding_dim]
  for (int64_t text = 0; text < texts.ids.size(0); ++text) {
    const auto single = test::single_text(texts, text);
    EXPECT_LT(test::relative_error(engine.embed(single.ids, single.lengths),
                                   together.narrow(0, text, 1)),
              1e-6);
  }
}

TEST(PackedText, RefusesIdsThatTheVocabularyDoesNotHave) {
  const auto options = test::small_text_options();
  PackedText engine(options, named_tensors(*test::lively_text_tower(options)), Precision::kFloat32);
  const auto lengths = torch::tensor({2}, torch::kInt64);
  for (const int64_t id : {int64_t{-1}, options.vocab_size}) {
    EXPECT_THROW(engine.embed(torch::tensor({{int64_t{1}, id}}), lengths), c10::ValueError);
  }
}

}  // namespace
}  // namespace softmoe

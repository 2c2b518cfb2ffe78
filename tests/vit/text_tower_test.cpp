#include "vit/text_tower.h"

#include <gmock/gmock.h>

#include <set>

#include "core/error.h"
#include "softmoe/routers.h"
#include "support/error_text.h"
#include "support/gradient_check.h"
#include "support/tensor_matcher.h"
#include "vit/small_texts.h"

namespace softmoe {
namespace {

using testing::HasSubstr;

/// Every pooling, both directions, and every router that takes texts by one of `ways`.
std::vector<test::TextCase> text_cases(const std::set<TextRouting>& ways) {
  std::vector<test::TextCase> cases;
  for (const auto& [pool, name] : kEnumNames<TextPool>) {
    auto options = test::small_text_options();
    options.pool = pool;
    cases.push_back({"causal_" + std::string(name), options});
    options.causal = false;
    cases.push_back({"both_directions_" + std::string(name), options});
  }
  for (const auto& row : router_rows()) {
    if (ways.contains(row.texts)) {
      cases.push_back({std::string(row.name), test::small_text_moe_options(std::string(row.name))});
    }
  }
  return cases;
}

class TextTowers : public testing::TestWithParam<test::TextCase> {};
class TextsByThemselves : public testing::TestWithParam<test::TextCase> {};

INSTANTIATE_TEST_SUITE_P(
    All, TextTowers, testing::ValuesIn(text_cases({TextRouting::kByText, TextRouting::kTogether})),
    [](const auto& row) { return row.param.name; });
INSTANTIATE_TEST_SUITE_P(All, TextsByThemselves,
                         testing::ValuesIn(text_cases({TextRouting::kByText})),
                         [](const auto& row) { return row.param.name; });

TEST_P(TextTowers, ArePaddedWithoutChangingABitOfOutputsOrGradients) {
  auto tower = test::lively_text_tower(GetParam().options);
  tower->eval();
  const auto texts = test::small_texts();
  const auto run = [&](const test::Texts& input) {
    tower->zero_grad();
    auto embedded = tower->forward(input.ids, input.lengths);  // [batch, embed_dim]
    embedded.square().sum().backward();
    std::vector<torch::Tensor> results{embedded.detach()};
    for (const auto& parameter : tower->parameters()) {
      results.push_back(parameter.grad().defined() ? parameter.grad().clone()
                                                   : torch::zeros_like(parameter));
    }
    return results;
  };
  const auto expected = run(texts);
  for (const auto& [more, padding] : {std::pair{1, 0}, {4, 28}, {30, 5}}) {
    const auto results = run(test::more_padding(texts, more, padding));
    for (size_t index = 0; index < expected.size(); ++index) {
      EXPECT_TRUE(test::same_bits(results[index], expected[index]))
          << more << " columns of " << padding << ", result " << index;
    }
  }
}

TEST_P(TextsByThemselves, GetWhatTheyGetAmongOthers) {
  auto tower = test::lively_text_tower(GetParam().options);
  tower->eval();
  const torch::NoGradGuard no_grad;
  const auto texts = test::small_texts();
  const auto together = tower->forward(texts.ids, texts.lengths);
  for (int64_t index = 0; index < texts.ids.size(0); ++index) {
    const auto text = test::single_text(texts, index);
    EXPECT_TRUE(test::all_close(tower->forward(text.ids, text.lengths),
                                together.narrow(0, index, 1), test::Tolerance{.absolute = 1e-5}))
        << index;
  }
}

TEST(TextTower, OfOneSoftMoeTextIsTheBlocksOfImages) {
  auto options = test::small_text_moe_options();
  auto tower = test::lively_text_tower(options);
  tower->eval();
  const torch::NoGradGuard no_grad;
  const auto text = test::single_text(test::small_texts(), 1);
  const auto parameters = tower->named_parameters();
  auto tokens = (parameters["token_embed"].index_select(0, text.ids.flatten()) +
                 parameters["pos_embed"].narrow(0, 0, text.ids.size(1)))
                    .unsqueeze(0);  // [1, tokens, dim]
  for (const auto& module : *tower->named_children()["blocks"]->as<torch::nn::ModuleList>()) {
    tokens = module->as<BlockImpl>()->forward(tokens);
  }
  const auto pooled =
      torch::layer_norm(tokens, {options.dim}, parameters["norm.weight"], parameters["norm.bias"],
                        options.norm_eps)
          .mean(1);  // [1, dim]
  EXPECT_TRUE(test::all_close(tower->forward(text.ids, text.lengths),
                              pooled.matmul(parameters["projection.weight"].t())));
}

TEST(TextTower, ReadsNoLaterTokenIfItIsCausal) {
  auto options = test::small_text_options();
  options.pool = TextPool::kFirst;
  const auto texts = test::small_texts();
  auto changed = texts;
  changed.ids = texts.ids.clone();
  changed.ids.narrow(1, 1, 6).fill_(4);
  for (const bool causal : {true, false}) {
    options.causal = causal;
    auto tower = test::lively_text_tower(options);
    tower->eval();
    const torch::NoGradGuard no_grad;
    const auto before = tower->forward(texts.ids, texts.lengths);
    EXPECT_EQ(tower->forward(changed.ids, changed.lengths).equal(before), causal);
  }
}

TEST(TextTower, GivesTokensInTheirCellsAndZerosForPadding) {
  auto options = test::small_text_options();
  options.pool = TextPool::kLast;
  options.embed_dim = 0;
  auto tower = test::lively_text_tower(options);
  tower->eval();
  const torch::NoGradGuard no_grad;
  const auto texts = test::small_texts();
  const auto tokens = tower->forward_tokens(texts.ids, texts.lengths);  // [batch, width, dim]
  const auto last = tower->forward(texts.ids, texts.lengths);           // [batch, dim]
  for (int64_t text = 0; text < 5; ++text) {
    const auto length = texts.lengths[text].item<int64_t>();
    EXPECT_TRUE(test::all_close(tokens[text][length - 1], last[text]));
    EXPECT_EQ(tokens[text].slice(/*dim=*/0, length).count_nonzero().item<int64_t>(), 0);
  }
}

TEST(TextTower, EndsATextAtItsFirstEndTokenOrLargestIdOrElseAtItsLastToken) {
  const auto ids = torch::tensor({{5, 9, 2, 9, 28}, {7, 2, 2, 1, 0}, {3, 4, 8, 6, 0}});
  const auto texts = pack_texts(ids, torch::tensor({4, 3, 4}), /*context=*/5);
  const auto end_of = [&](int64_t eot_token) { return end_tokens(texts, eot_token) - texts.first; };
  EXPECT_TRUE(test::same_bits(end_of(2), torch::tensor({2, 1, 3})));
  EXPECT_TRUE(test::same_bits(end_of(kLargestId), torch::tensor({1, 0, 2})));
}

TEST(TextTower, GradientsAreThoseOfFiniteDifferences) {
  for (const auto* const router : {"soft", "smear"}) {
    auto options = test::small_text_moe_options(router);
    options.dim = 12;
    options.mlp_dim = 10;
    auto tower = test::lively_text_tower(options);
    tower->to(torch::kFloat64);
    const auto texts = test::small_texts();
    std::vector<test::NamedLeaf> leaves;
    for (const auto& parameter : tower->named_parameters()) {
      leaves.push_back({parameter.key(), parameter.value()});
    }
    const auto loss = [&] {
      const auto embedded = tower->forward(texts.ids, texts.lengths);  // [batch, embed_dim]
      return (embedded * embedded.sin()).sum();
    };
    EXPECT_TRUE(test::gradients_match(loss, leaves, {.coordinates = 6})) << router;
  }
}

TEST(TextTower, ComputesBlocksAgainForTheSameGradients) {
  auto tower = test::lively_text_tower(test::small_text_moe_options());
  const auto texts = test::small_texts();
  const auto gradients = [&](bool recomputes) {
    tower->set_grad_checkpointing(recomputes);
    tower->zero_grad();
    tower->forward(texts.ids, texts.lengths).square().sum().backward();
    std::vector<torch::Tensor> result;
    for (const auto& parameter : tower->parameters()) {
      result.push_back(parameter.grad().clone());
    }
    return result;
  };
  const auto kept = gradients(false);
  const auto recomputed = gradients(true);
  for (size_t index = 0; index < kept.size(); ++index) {
    EXPECT_TRUE(test::all_close(recomputed[index], kept[index]));
  }
}

TEST(TextTower, RecordsTheLoadOfItsExperts) {
  for (const auto* const router : {"soft", "smear", "tokens_choice"}) {
    auto tower = test::lively_text_tower(test::small_text_moe_options(router));
    auto records = tower->routing_records({.scores = true, .load = true});
    ASSERT_EQ(records.size(), 1U);
    const auto texts = test::small_texts();
    tower->forward(texts.ids, texts.lengths, &records);
    const auto& record = records.at(1);
    EXPECT_NEAR(record.load.load.sum().item<double>(), 1.0, 1e-5) << router;
    EXPECT_NEAR(record.load.importance.sum().item<double>(), 1.0, 1e-5) << router;
    EXPECT_TRUE(record.scores.logits.defined()) << router;
    EXPECT_EQ(record.load.mixing.dispatch_entropy.defined(), std::string(router) == "soft");
  }
}

TEST(TextTower, RefusesLengthsThatNoTextHas) {
  auto tower = test::lively_text_tower(test::small_text_options());
  const auto ids = torch::ones({2, 14}, torch::kInt64);
  for (const auto& lengths :
       {torch::tensor({3, 0}), torch::tensor({3, 12}), torch::tensor({3}), torch::ones({2})}) {
    EXPECT_THROW(tower->forward(ids, lengths), c10::ValueError) << lengths;
  }
}

TEST(TextOptions, RefuseRoutersThatTakeNoTexts) {
  for (const auto* const router : {"identity", "hash_modulo", "hash_projection", "reinforced"}) {
    auto options = test::small_text_moe_options(router);
    EXPECT_THAT(test::usage_error([&] { validate(options, "text-"); }),
                HasSubstr("text-router: expected one that takes texts: soft, "))
        << router;
  }
}

TEST(TextOptions, NameWhatContradictsWhat) {
  auto options = test::small_text_options();
  options.heads = 5;
  EXPECT_THAT(test::usage_error([&] { validate(options, "text-"); }),
              HasSubstr("text-dim: expected a multiple of text-heads 5"));
  options = test::small_text_options();
  options.eot_token = 29;
  EXPECT_THAT(test::usage_error([&] { validate(options, "text-"); }), HasSubstr("text-eot-token"));
}

}  // namespace
}  // namespace softmoe

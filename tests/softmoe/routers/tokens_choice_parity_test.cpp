/// Tokens choice against google-research/vmoe.

#include "softmoe/router_losses.h"
#include "softmoe/routers/small_layers.h"
#include "softmoe/routers/sparse_case.h"
#include "softmoe/routers/tokens_choice_router.h"
#include "support/tensor_matcher.h"

namespace softmoe::tokens_choice_parity_test {

using test::all_close;
using test::same_bits;
using test::SparseCase;

/// importance 0.01, load 0.03, balance 0.02.
RouterLossOptions reference_coefficients() {
  RouterLossOptions options;
  for (const auto& [name, coefficient] :
       {std::pair{"importance", 0.01}, {"load", 0.03}, {"balance", 0.02}}) {
    for (size_t row = 0; row < kRouterLossCount; ++row) {
      if (router_loss_rows()[row].name == name) {
        options.coefficients[row] = coefficient;
      }
    }
  }
  return options;
}

struct Setting {
  const char* name;
  int64_t top_k;
  bool batch_priority = false;
  bool noisy = false;
  bool rounds = false;  ///< to bf16, as vmoe's Bfloat16Dispatcher
};

void PrintTo(const Setting& setting, std::ostream* out) { *out << setting.name; }

class TokensChoiceParity : public testing::TestWithParam<Setting> {
 protected:
  MoeLayerOptions options() const {
    auto options = reference_.options();
    options.moe.sparse.top_k = GetParam().top_k;
    options.moe.sparse.batch_priority = GetParam().batch_priority;
    options.moe.dispatch_dtype = GetParam().rounds ? Precision::kBFloat16 : Precision::kFloat32;
    // Between this capacity and the one below it.
    const auto requests = static_cast<double>(options.tokens * GetParam().top_k);
    options.moe.capacity_factor = (static_cast<double>(reference_.capacity()) - 0.5) *
                                  static_cast<double>(options.moe.experts) / requests;
    return options;
  }

  /// The losses of the reference, which are means over groups, and their weighted sum.
  torch::Tensor expect_losses(const RoutingScores& scores) const {
    const auto losses = router_losses(reference_coefficients(), scores, {});
    const auto metric = [&](const std::string& name) {
      return reference_.at("metrics/" + name).mean();
    };
    EXPECT_TRUE(all_close(losses.values.at("importance"), metric("importance_loss")));
    EXPECT_TRUE(all_close(losses.values.at("balance"), metric("gshard_loss")));
    EXPECT_EQ(losses.values.contains("load"), GetParam().noisy);
    if (GetParam().noisy) {
      EXPECT_TRUE(all_close(losses.values.at("load"), metric("load_loss")));
    }
    EXPECT_TRUE(all_close(losses.total, metric("auxiliary_loss")));
    return losses.total;
  }

  SparseCase reference_{"tokens_choice", GetParam().name};
};

TEST_P(TokensChoiceParity, OfEveryStep) {
  const auto settings = options();
  auto layer = reference_.layer(settings);
  auto x = reference_.shared("x").clone().requires_grad_();  // [groups, tokens, dim]
  const int64_t experts = settings.moe.experts;
  RoutingScores scores;
  scores.top_k = GetParam().top_k;
  scores.logits = router_logits(x, layer->named_parameters()["router.weight"]);
  EXPECT_TRUE(all_close(scores.logits, reference_.shared("logits")));
  if (GetParam().noisy) {
    scores.noise_std = 1.0 / static_cast<double>(experts);
    scores.noisy_logits = scores.logits + scores.noise_std * reference_.shared("noise");
  }
  const auto& logits = GetParam().noisy ? scores.noisy_logits : scores.logits;
  const auto chosen = choose_experts(logits, {}, settings.moe.sparse);
  const auto places =
      place_choices(chosen.expert, GetParam().batch_priority ? chosen.priority : torch::Tensor(),
                    experts, reference_.capacity());
  const auto rows =
      rows_from_places(places.place, chosen.gate.flatten(0, 1), experts, places.rows, x.size(0));

  const auto indices = reference_.at("expert_and_buffer_index").to(torch::kInt64);
  EXPECT_TRUE(same_bits(chosen.expert, indices.select(-1, 0).contiguous()));
  EXPECT_LE(places.rows, x.size(0) * reference_.capacity());
  const auto taken = (rows.token >= 0).to(torch::kUInt8);  // [experts, rows]
  EXPECT_TRUE(same_bits(reference_.dense(rows, taken), reference_.at("dispatch_weights")));
  EXPECT_TRUE(
      all_close(reference_.dense(rows, rows.gate.detach()), reference_.at("combine_weights")));

  const auto y = scatter_rows(layer->experts(gather_rows(x, rows)), rows);  // [groups, tokens, dim]
  EXPECT_TRUE(all_close(y, reference_.at("y")));
  ((y * reference_.shared("grad_y")).sum() + expect_losses(scores)).backward();
  reference_.expect_gradients(layer, x);
}

/// Without noise: that of a layer is its own.
class TokensChoiceLayerParity : public TokensChoiceParity {};

TEST_P(TokensChoiceLayerParity, OfOutputsRecordsAndGradients) {
  auto layer = reference_.layer(options());
  auto x = reference_.shared("x").clone().requires_grad_();
  auto record = test::full_record();
  const auto y = layer->forward(x, &record);
  reference_.expect_outputs(y, record, GetParam().rounds);
  const auto dispatch = reference_.dispatch();
  const auto load = dispatch.sum({0, 1, 3});
  EXPECT_TRUE(all_close(record.load.load, load / load.sum()));
  const auto dropped = (dispatch.sum({2, 3}) == 0).to(torch::kFloat32).mean();
  EXPECT_TRUE(all_close(record.load.dropped, dropped));
  const auto gates = reference_.shared("gates");
  EXPECT_TRUE(all_close(record.load.entropy, -(gates * gates.log()).sum(-1).mean()));
  ((y * reference_.shared("grad_y")).sum() + expect_losses(record.scores)).backward();
  reference_.expect_gradients(layer, x, GetParam().rounds);
}

constexpr std::array kQuietCases{Setting{"top1_ample", 1}, Setting{"top1_overflow", 1},
                                 Setting{"top2_overflow", 2}, Setting{"top2_overflow_bpr", 2, true},
                                 Setting{"top2_cf105", 2}};

std::string case_name(const testing::TestParamInfo<Setting>& entry) { return entry.param.name; }

INSTANTIATE_TEST_SUITE_P(Quiet, TokensChoiceParity, testing::ValuesIn(kQuietCases), case_name);
INSTANTIATE_TEST_SUITE_P(Noisy, TokensChoiceParity,
                         testing::Values(Setting{"top2_noisy", 2, false, true}), case_name);
INSTANTIATE_TEST_SUITE_P(Rounding, TokensChoiceLayerParity,
                         testing::Values(Setting{"top2_overflow_bpr_bf16", 2, true, false, true}),
                         case_name);
INSTANTIATE_TEST_SUITE_P(Quiet, TokensChoiceLayerParity, testing::ValuesIn(kQuietCases), case_name);

}  // namespace softmoe::tokens_choice_parity_test

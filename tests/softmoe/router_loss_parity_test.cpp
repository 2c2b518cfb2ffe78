/// The losses of routers against another implementation; tests/fixtures/routers says which.

#include <map>

#include "io/npz.h"
#include "softmoe/router_loss_cases.h"
#include "softmoe/routers/reinforced_router.h"
#include "support/temporary_folder.h"
#include "support/tensor_matcher.h"

namespace softmoe::router_loss_parity_test {

using test::all_close;
using test::fixture;
using test::loss;
using test::policy_scores;

class LossReference : public testing::Test {
 protected:
  torch::Tensor at(const std::string& name) const { return npz_array(arrays_, name, path_); }
  /// The logits of the reference as a leaf.
  torch::Tensor logits() const { return at("logits").clone().requires_grad_(); }

 private:
  std::filesystem::path path_ = fixture("routers/losses_rl.npz");
  NamedTensors arrays_ = read_npz(path_);
};

TEST_F(LossReference, ValuesAndGradientsOfTheLossesOfLogits) {
  for (const auto& [ours, theirs] :
       std::map<std::string, std::string>{{"balance", "switch_sum_fP_E"},
                                          {"z", "z_loss"},
                                          {"token_entropy", "token_entropy"},
                                          {"marginal_entropy", "marginal_entropy"},
                                          {"importance", "importance_cv2"}}) {
    SCOPED_TRACE(ours);
    const auto leaf = logits();
    const auto value = loss(ours, leaf);
    value.backward();
    EXPECT_TRUE(all_close(value, at(theirs)));
    EXPECT_TRUE(all_close(leaf.grad(), at(theirs + "_grad")));
  }
}

TEST_F(LossReference, BalanceOfFirstChoicesIsGshards) {
  EXPECT_TRUE(all_close(loss("balance", at("logits").narrow(0, 0, 1)), at("tutel_gshard_0"),
                        {.absolute = 1e-6}));
}

TEST_F(LossReference, PolicyGradientWithoutNormalisation) {
  const auto advantage = at("rl_reward") - at("rl_baseline");
  const auto leaf = logits();
  const auto plain = policy_gradient_loss(leaf, at("rl_action"), advantage);
  plain.backward();
  EXPECT_TRUE(all_close(leaf.grad(), at("rl_policy_grad_no_entropy")));

  const auto with_entropy = logits();
  const auto value = policy_gradient_loss(with_entropy, at("rl_action"), advantage) -
                     at("rl_entropy_coef") * loss("token_entropy", with_entropy);
  value.backward();
  EXPECT_TRUE(all_close(value, at("rl_policy_loss")));
  EXPECT_TRUE(all_close(with_entropy.grad(), at("rl_policy_grad_logits")));
}

TEST_F(LossReference, PolicyLossNormalisesTheAdvantage) {
  const auto count = at("rl_action").numel();
  const auto advantage = at("rl_reward") - at("rl_baseline");
  const auto centred = advantage - advantage.mean();
  const auto normal = centred / centred.square().mean().sqrt();
  // The reference's gradient is linear in the advantage of each token.
  const auto expected =
      at("rl_policy_grad_no_entropy") * (normal / advantage).unsqueeze(-1);  // [3, 32, experts]
  const auto leaf = logits();
  const auto value = loss(
      "policy",
      policy_scores(leaf, at("rl_action").view({count, 1}), at("rl_baseline").view({count, 1})),
      -at("rl_reward").flatten());
  value.backward();
  EXPECT_TRUE(all_close(leaf.grad(), expected));
}

TEST_F(LossReference, BaselineIsFittedByHubersLoss) {
  const auto count = at("rl_action").numel();
  const auto baseline = at("rl_baseline").clone().requires_grad_();
  const auto value =
      loss("baseline",
           policy_scores(at("logits"), at("rl_action").view({count, 1}), baseline.view({count, 1})),
           -at("rl_reward").flatten());
  value.backward();
  EXPECT_TRUE(all_close(value, at("rl_value_huber")));
  EXPECT_TRUE(all_close(baseline.grad(), at("rl_value_grad")));
}

}  // namespace softmoe::router_loss_parity_test

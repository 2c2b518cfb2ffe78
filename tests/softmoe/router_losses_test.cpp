/// The losses of routers: finite differences and properties; router_loss_parity_test.cpp compares
/// them with another implementation.

#include "softmoe/router_losses.h"

#include <set>

#include "io/npz.h"
#include "softmoe/router_loss_cases.h"
#include "softmoe/routers/reinforced_router.h"
#include "support/gradient_check.h"
#include "support/temporary_folder.h"
#include "support/tensor_matcher.h"

namespace softmoe::router_losses_test {

using test::all_close;
using test::fixture;
using test::gradients_match;
using test::loss;
using test::policy_scores;
using test::Tolerance;

constexpr int64_t kGroups = 3;
constexpr int64_t kTokens = 10;
constexpr int64_t kExperts = 4;

/// Fp64 logits [groups, tokens, experts] of a given seed.
torch::Tensor seeded_logits(int64_t seed, int64_t groups = kGroups) {
  torch::manual_seed(static_cast<uint64_t>(seed));
  return 2.0 * torch::randn({groups, kTokens, kExperts}, torch::kFloat64);
}

/// Scores of noisy top-2 routing.
RoutingScores noisy_scores(const torch::Tensor& logits) {
  RoutingScores scores;
  scores.logits = logits;
  scores.noise_std = 0.3;
  torch::manual_seed(8);
  scores.noisy_logits = logits + scores.noise_std * torch::randn_like(logits);
  scores.top_k = 2;
  return scores;
}

TEST(RouterLosses, MatchThoseOfVmoeGroupByGroup) {
  const auto path = fixture("vmoe/tokens_choice.npz");
  const auto arrays = read_npz(path);
  const auto logits = npz_array(arrays, "logits", path);  // [groups, tokens, experts]
  const auto noise = npz_array(arrays, "noise", path);
  for (const std::string name : {"top1_ample", "top2_cf105", "top2_noisy"}) {
    const auto metric = [&](const std::string& key) {
      return npz_array(arrays, name + "/metrics/" + key, path);  // [groups]
    };
    for (int64_t group = 0; group < logits.size(0); ++group) {
      SCOPED_TRACE(name + ", group " + std::to_string(group));
      RoutingScores scores;
      scores.logits = logits.narrow(0, group, 1);
      if (name == "top2_noisy") {
        scores.noise_std = 1.0 / static_cast<double>(logits.size(2));
        scores.noisy_logits = scores.logits + scores.noise_std * noise.narrow(0, group, 1);
        scores.top_k = 2;
        EXPECT_TRUE(all_close(loss("load", scores), metric("load_loss")[group]));
      }
      EXPECT_TRUE(all_close(loss("importance", scores), metric("importance_loss")[group]));
      EXPECT_TRUE(all_close(loss("balance", scores), metric("gshard_loss")[group]));
    }
  }
}

TEST(RouterLosses, GradientsMatchFiniteDifferences) {
  auto logits = seeded_logits(1).requires_grad_();
  for (const std::string name :
       {"importance", "load", "balance", "z", "token_entropy", "marginal_entropy"}) {
    EXPECT_TRUE(
        gradients_match([&] { return loss(name, noisy_scores(logits)); }, {{"logits", logits}}))
        << name;
  }
  torch::manual_seed(2);
  const auto actions = torch::randint(kExperts, {kGroups, kTokens});
  auto baseline = torch::randn({kGroups, kTokens}, torch::kFloat64).requires_grad_();
  const auto image_losses = 3.0 * torch::rand({kGroups}, torch::kFloat64);
  const auto scores = policy_scores(logits, actions, baseline);
  EXPECT_TRUE(
      gradients_match([&] { return loss("policy", scores, image_losses); }, {{"logits", logits}}));
  EXPECT_TRUE(gradients_match([&] { return loss("baseline", scores, image_losses); },
                              {{"baseline", baseline}}));
}

TEST(RouterLosses, PolicyAndBaselineLearnApart) {
  const auto logits = seeded_logits(3).requires_grad_();
  const auto baseline = torch::zeros({kGroups, kTokens}, torch::kFloat64).requires_grad_();
  const auto image_losses = torch::rand({kGroups}, torch::kFloat64).requires_grad_();
  const auto scores =
      policy_scores(logits, torch::zeros({kGroups, kTokens}, torch::kInt64), baseline);
  loss("policy", scores, image_losses).backward();
  EXPECT_TRUE(logits.grad().defined());
  EXPECT_FALSE(baseline.grad().defined());
  logits.mutable_grad() = torch::Tensor();
  loss("baseline", scores, image_losses).backward();
  EXPECT_FALSE(logits.grad().defined());
  EXPECT_TRUE(baseline.grad().defined());
  EXPECT_FALSE(image_losses.grad().defined()) << "the reward is no part of the graph";
}

TEST(RouterLosses, PolicyLossKnowsOnlyWhichImagesDidBetter) {
  const auto logits = seeded_logits(4);
  const auto actions = torch::randint(kExperts, {kGroups, kTokens});
  const auto image_losses = torch::tensor({0.5, 2.0, 1.1}, torch::kFloat64);
  const auto with_baseline = [&](double expected, const torch::Tensor& losses) {
    return loss(
        "policy",
        policy_scores(logits, actions, torch::full({kGroups, kTokens}, expected, torch::kFloat64)),
        losses);
  };
  const auto value = with_baseline(0.0, image_losses);
  EXPECT_GT(std::abs(value.item<double>()), 1e-3);
  EXPECT_TRUE(all_close(with_baseline(-7.0, image_losses), value));
  EXPECT_TRUE(all_close(with_baseline(0.0, 10.0 * image_losses + 3.0), value));
  EXPECT_TRUE(all_close(with_baseline(0.0, torch::ones({kGroups}, torch::kFloat64)),
                        torch::zeros({}, torch::kFloat64)));
}

TEST(RouterLosses, PolicyLossOfOneImageKeepsItsAdvantage) {
  const auto logits = seeded_logits(5, 1);
  const auto actions = torch::randint(kExperts, {1, kTokens});
  const auto baseline = torch::full({1, kTokens}, -1.5, torch::kFloat64);
  const auto value = loss("policy", policy_scores(logits, actions, baseline),
                          torch::full({1}, 0.25, torch::kFloat64));
  const auto taken = logits.log_softmax(-1).gather(-1, actions.unsqueeze(-1));
  EXPECT_TRUE(all_close(value, -1.25 * taken.mean()));  // advantage -0.25 + 1.5
}

/// Logits by which each expert is the first choice of `tokens / kExperts` tokens of each group.
torch::Tensor balanced_logits(double strength) {
  const auto expert = torch::arange(2 * kExperts) % kExperts;
  return (strength * torch::one_hot(expert, kExperts).to(torch::kFloat64))
      .expand({kGroups, 2 * kExperts, kExperts});
}

/// Logits by which expert 1 is everybody's choice.
torch::Tensor collapsed_logits(double strength) {
  const auto expert = torch::ones({2 * kExperts}, torch::kInt64);
  return (strength * torch::one_hot(expert, kExperts).to(torch::kFloat64))
      .expand({kGroups, 2 * kExperts, kExperts});
}

TEST(RouterLosses, AreLeastWhereExpertsAreBalancedAndLargestWhereOneTakesAll) {
  const auto noisy = [](const torch::Tensor& logits) {
    RoutingScores scores;
    scores.logits = logits;
    scores.noisy_logits = logits;  // noise that happens to be zero
    scores.noise_std = 0.1;
    return scores;
  };
  const double strong = 40.0;
  for (const std::string name : {"importance", "load"}) {
    SCOPED_TRACE(name);
    EXPECT_NEAR(loss(name, noisy(balanced_logits(strong))).item<double>(), 0.0, 1e-12);
    // (E - 1) = (population variance over squared mean) of a distribution on one expert. The load
    // is half of that expert's: its own logit is the threshold.
    EXPECT_NEAR(loss(name, noisy(collapsed_logits(strong))).item<double>(), kExperts - 1.0, 1e-9);
  }
  EXPECT_NEAR(loss("balance", balanced_logits(strong)).item<double>(), 1.0, 1e-12);
  EXPECT_NEAR(loss("balance", collapsed_logits(strong)).item<double>(), kExperts, 1e-9);
  const double largest = std::log(static_cast<double>(kExperts));
  EXPECT_NEAR(loss("marginal_entropy", balanced_logits(strong)).item<double>(), largest, 1e-12);
  EXPECT_NEAR(loss("marginal_entropy", collapsed_logits(strong)).item<double>(), 0.0, 1e-9);
  EXPECT_NEAR(loss("token_entropy", balanced_logits(strong)).item<double>(), 0.0, 1e-9);
  EXPECT_NEAR(loss("token_entropy", balanced_logits(0.0)).item<double>(), largest, 1e-12);
  EXPECT_NEAR(loss("z", balanced_logits(0.0)).item<double>(), largest * largest, 1e-12);
  for (int64_t seed = 0; seed < 20; ++seed) {
    const auto logits = seeded_logits(seed);
    EXPECT_GE(loss("importance", logits).item<double>(), 0.0);
    EXPECT_GE(loss("load", noisy_scores(logits)).item<double>(), 0.0);
    EXPECT_GE(loss("marginal_entropy", logits).item<double>() + 1e-12,
              loss("token_entropy", logits).item<double>());
    EXPECT_LE(loss("marginal_entropy", logits).item<double>(), largest + 1e-12);
  }
}

TEST(RouterLosses, StayFiniteWithGradientsAtExtremeLogits) {
  for (const auto& logits : {balanced_logits(1e4), collapsed_logits(1e4)}) {
    for (const std::string name :
         {"importance", "load", "balance", "z", "token_entropy", "marginal_entropy"}) {
      const auto leaf = logits.to(torch::kFloat32).clone().requires_grad_();
      const auto value = loss(name, noisy_scores(leaf));
      value.backward();
      EXPECT_TRUE(value.isfinite().item<bool>()) << name;
      EXPECT_TRUE(leaf.grad().isfinite().all().item<bool>()) << name;
    }
  }
}

TEST(RouterLosses, DoNotDependOnTheOrderOfTokensOrExpertsNorOnShiftsOfATokensLogits) {
  const auto scores = noisy_scores(seeded_logits(6));
  const auto changed = [&](const auto& change) {
    auto result = scores;
    result.logits = change(scores.logits);
    result.noisy_logits = change(scores.noisy_logits);
    return result;
  };
  const auto tokens = torch::randperm(kTokens);
  const auto experts = torch::tensor({2, 0, 3, 1});
  const auto shift = torch::randn({kGroups, kTokens, 1}, torch::kFloat64);
  for (const std::string name :
       {"importance", "load", "balance", "z", "token_entropy", "marginal_entropy"}) {
    SCOPED_TRACE(name);
    const auto value = loss(name, scores);
    EXPECT_TRUE(all_close(
        loss(name, changed([&](const auto& x) { return x.index_select(1, tokens); })), value));
    EXPECT_TRUE(all_close(
        loss(name, changed([&](const auto& x) { return x.index_select(2, experts); })), value));
    const auto shifted = loss(name, changed([&](const auto& x) { return x + shift; }));
    if (name == "z") {
      EXPECT_GT((shifted - value).abs().item<double>(), 1e-3) << "what the z-loss is for";
    } else {
      EXPECT_TRUE(all_close(shifted, value, {.absolute = 1e-12}));
    }
  }
}

TEST(RouterLosses, AreMeansOverGroups) {
  const auto scores = noisy_scores(seeded_logits(7));
  for (const std::string name :
       {"importance", "load", "balance", "z", "token_entropy", "marginal_entropy"}) {
    auto sum = torch::zeros({}, torch::kFloat64);
    for (int64_t group = 0; group < kGroups; ++group) {
      auto alone = scores;
      alone.logits = scores.logits.narrow(0, group, 1);
      alone.noisy_logits = scores.noisy_logits.narrow(0, group, 1);
      sum = sum + loss(name, alone);
    }
    EXPECT_TRUE(all_close(loss(name, scores), sum / kGroups)) << name;
  }
}

TEST(RouterLosses, LoadIsTheChanceToBeChosenUnderFreshNoise) {
  const auto scores = noisy_scores(seeded_logits(9, 1));
  auto load = torch::zeros({kExperts}, torch::kFloat64);
  for (int64_t token = 0; token < kTokens; ++token) {
    auto noisy = std::vector<double>(kExperts);
    for (int64_t expert = 0; expert < kExperts; ++expert) {
      noisy[static_cast<size_t>(expert)] = scores.noisy_logits[0][token][expert].item<double>();
    }
    std::sort(noisy.rbegin(), noisy.rend());
    for (int64_t expert = 0; expert < kExperts; ++expert) {
      const double needed = noisy[1] - scores.logits[0][token][expert].item<double>();
      load[expert] += 0.5 * std::erfc(needed / scores.noise_std / std::sqrt(2.0));
    }
  }
  EXPECT_TRUE(all_close(loss("load", scores), load.var(/*unbiased=*/false) / load.mean().square()));
}

TEST(RouterLosses, AreUndefinedWhereTheyDoNotApply) {
  for (const auto& row : router_loss_rows()) {
    EXPECT_FALSE(row.loss({.scores = {}, .image_losses = torch::ones({2})}).defined()) << row.name;
  }
  auto scores = noisy_scores(seeded_logits(10));
  EXPECT_FALSE(loss("load", scores.logits).defined());
  EXPECT_FALSE(loss("l1", scores).defined());
  scores.noise_std = 0.0;
  EXPECT_FALSE(loss("load", scores).defined());
  const auto policy = policy_scores(scores.logits, torch::zeros({kGroups, kTokens}, torch::kInt64),
                                    torch::zeros({kGroups, kTokens}, torch::kFloat64));
  for (const std::string name : {"policy", "baseline"}) {
    EXPECT_FALSE(loss(name, policy).defined()) << "no reward without a task's loss";
    EXPECT_FALSE(loss(name, scores, torch::ones({kGroups})).defined());
    EXPECT_TRUE(loss(name, policy, torch::ones({kGroups})).defined());
  }
}

TEST(RouterLosses, SumWithTheirCoefficients) {
  auto scores = noisy_scores(seeded_logits(11).requires_grad_());
  scores.activation_l1 = torch::full({}, 0.7, torch::kFloat64);
  RouterLossOptions options;
  EXPECT_FALSE(options.any());
  EXPECT_FALSE(router_losses(options, scores, {}).total.defined());
  auto expected = torch::zeros({}, torch::kFloat64);
  double coefficient = -0.02;
  size_t row = 0;
  for (const auto& [name, flag, source, meaning, function] : router_loss_rows()) {
    options.coefficients[row++] = name == "z" ? 0.0 : coefficient;
    if (const auto value = loss(std::string(name), scores); value.defined() && name != "z") {
      expected = expected + coefficient * value;
    }
    coefficient += 0.011;
  }
  EXPECT_TRUE(options.any());
  const auto losses = router_losses(options, scores, {});
  EXPECT_TRUE(all_close(losses.total, expected));
  EXPECT_TRUE(losses.total.requires_grad());
  const std::set<std::string> applying{"importance",       "load", "balance", "token_entropy",
                                       "marginal_entropy", "l1"};
  std::set<std::string> given;
  for (const auto& [name, value] : losses.values) {
    given.insert(name);
    EXPECT_FALSE(value.requires_grad()) << name;
    EXPECT_TRUE(all_close(value, loss(name, scores).detach())) << name;
  }
  EXPECT_EQ(given, applying);
}

TEST(RouterLosses, AreFlagsOfTheirNames) {
  RouterLossOptions options;
  OptionTable table;
  describe(table, options);
  std::set<std::string> flags;
  std::set<std::string> names;
  for (const auto& row : router_loss_rows()) {
    flags.insert(std::string(row.flag));
    names.insert(std::string(row.name));
    EXPECT_FALSE(row.source.empty()) << row.name;
    EXPECT_FALSE(row.meaning.empty()) << row.name;
  }
  EXPECT_EQ(flags.size(), kRouterLossCount);
  EXPECT_EQ(names.size(), kRouterLossCount);
  table.from_json({{"z-loss", 0.25}}, "test");
  EXPECT_EQ(options.coefficients[3], 0.25);
  EXPECT_EQ(router_loss_rows()[3].name, "z");
}

}  // namespace softmoe::router_losses_test

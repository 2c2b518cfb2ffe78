#include "ops/activation.h"

#include "support/tensor_matcher.h"

namespace softmoe::activation_test {

using test::all_close;

TEST(Activate, FollowsTheDefinitions) {
  at::manual_seed(2);
  const auto x = torch::randn({3, 10}, torch::kFloat64) * 2;
  EXPECT_TRUE(activate(x, Activation::kNone).is_same(x));
  const auto exact = 0.5 * x * (1 + (x / std::sqrt(2.0)).erf());
  EXPECT_TRUE(all_close(activate(x, Activation::kGeluExact), exact));
  const auto inner = std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x);
  EXPECT_TRUE(all_close(activate(x, Activation::kGeluTanh), 0.5 * x * (1 + inner.tanh())));
  EXPECT_TRUE(all_close(activate(x, Activation::kGeluQuick), x / (1 + (-1.702 * x).exp())));
  const auto gate = x.narrow(1, 0, 5);
  EXPECT_TRUE(
      all_close(activate(x, Activation::kSwiGlu), gate / (1 + (-gate).exp()) * x.narrow(1, 5, 5)));
}

TEST(Activate, OptionsNameTheGelusAlone) {
  EXPECT_EQ(enum_names<Activation>(), (std::vector<std::string>{"tanh", "exact", "quick"}));
}

}  // namespace softmoe::activation_test

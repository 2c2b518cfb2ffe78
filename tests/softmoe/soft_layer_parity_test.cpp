/// The Soft MoE layer against google-research/vmoe, and its ablations against a reference in fp64.

#include "analysis/routing_statistics.h"
#include "io/npz.h"
#include "ops/initialization.h"
#include "softmoe/moe_layer.h"
#include "softmoe/routers.h"
#include "support/temporary_folder.h"
#include "support/tensor_matcher.h"

namespace softmoe::soft_layer_parity_test {

using test::all_close;
using test::fixture;
using test::Tolerance;

/// One case of softmoe_layer.npz, in one of its modes.
class LayerCase {
 public:
  LayerCase(std::string name, std::string mode) : name_(std::move(name)), mode_(std::move(mode)) {
    const auto sizes = at("dims").to(torch::kInt64);
    options_.dim = sizes[2].item<int64_t>();
    options_.hidden_dim = sizes[5].item<int64_t>();
    options_.moe.experts = sizes[3].item<int64_t>();
    options_.moe.slots_per_expert = sizes[4].item<int64_t>();
    options_.moe.dispatch_dtype = mode_ == "bf16" ? Precision::kBFloat16 : Precision::kFloat32;
  }

  torch::Tensor at(const std::string& key) const {
    static const auto arrays = read_npz(fixture("vmoe/softmoe_layer.npz"));
    return npz_array(arrays, name_ + "/" + key, "vmoe/softmoe_layer.npz");
  }
  torch::Tensor of_mode(const std::string& key) const { return at(mode_ + "/" + key); }
  const MoeLayerOptions& options() const { return options_; }

  /// Reference names by ours; kernels of the experts are transposed.
  static const std::map<std::string, std::string>& names() {
    static const std::map<std::string, std::string> names{
        {"router.phi", "Router/mu"},
        {"router.scale", "Router/scale"},
        {"experts.fc1_weight", "Mlp/Dense_0/kernel"},
        {"experts.fc1_bias", "Mlp/Dense_0/bias"},
        {"experts.fc2_weight", "Mlp/Dense_1/kernel"},
        {"experts.fc2_bias", "Mlp/Dense_1/bias"}};
    return names;
  }
  static torch::Tensor to_ours(const std::string& name, const torch::Tensor& reference) {
    return name.ends_with("_weight") ? reference.transpose(1, 2) : reference;
  }

  MoeLayer layer() const {
    MoeLayer layer(options_);
    const torch::NoGradGuard no_grad;
    for (auto& parameter : layer->named_parameters()) {
      parameter.value().copy_(
          to_ours(parameter.key(), at("params/" + names().at(parameter.key()))));
    }
    return layer;
  }

  /// Of outputs; the reference's own tolerance in bf16.
  Tolerance output_tolerance(const torch::Tensor& expected) const {
    return mode_ == "bf16" ? Tolerance{.absolute = 1e-5}
                           : test::parity_tolerance(torch::kFloat32, expected);
  }
  Tolerance gradient_tolerance(const torch::Tensor& expected) const {
    return mode_ == "bf16" ? Tolerance{.relative = 4e-3}
                           : test::parity_tolerance(torch::kFloat32, expected);
  }

 private:
  std::string name_;
  std::string mode_;
  MoeLayerOptions options_;
};

class SoftLayerParity : public testing::TestWithParam<std::tuple<std::string, std::string>> {
 protected:
  LayerCase reference_{std::get<0>(GetParam()), std::get<1>(GetParam())};
};

TEST_P(SoftLayerParity, OutputsAndMixingWeights) {
  auto layer = reference_.layer();
  RoutingRecord record;
  const auto y = layer->forward(reference_.at("x"), &record);
  const auto expected = reference_.of_mode("y");
  EXPECT_TRUE(all_close(y, expected, reference_.output_tolerance(expected)));
  EXPECT_TRUE(all_close(record.dispatch, reference_.at("dispatch_weights")));
  EXPECT_TRUE(all_close(record.combine, reference_.at("combine_weights")));
}

TEST_P(SoftLayerParity, ExpertInputs) {
  const auto& options = reference_.options();
  const auto layer = reference_.layer();
  const auto handle = make_router(options);
  {
    const torch::NoGradGuard no_grad;
    for (auto& parameter : handle.module->named_parameters()) {
      parameter.value().copy_(layer->named_parameters()["router." + parameter.key()]);
    }
  }
  const auto x = reference_.at("x");
  const auto routed = handle.router->route(x, {}, nullptr);
  const auto slots =
      routed.expert_inputs.view({options.moe.experts, x.size(0), options.moe.slots_per_expert, -1})
          .transpose(0, 1);  // [batch, experts, slots_per_expert, dim]
  const auto expected = reference_.of_mode("slots_in");
  EXPECT_TRUE(all_close(slots, expected, reference_.output_tolerance(expected)));
}

TEST_P(SoftLayerParity, Gradients) {
  auto layer = reference_.layer();
  auto x = reference_.at("x").clone().requires_grad_();
  (layer->forward(x) * reference_.at("grad_y")).sum().backward();
  const auto expected_x = reference_.of_mode("grad/x");
  EXPECT_TRUE(all_close(x.grad(), expected_x, reference_.gradient_tolerance(expected_x)));
  for (const auto& parameter : layer->named_parameters()) {
    const auto& name = parameter.key();
    const auto expected =
        LayerCase::to_ours(name, reference_.of_mode("grad/params/" + LayerCase::names().at(name)));
    EXPECT_TRUE(
        all_close(parameter.value().grad(), expected, reference_.gradient_tolerance(expected)))
        << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, SoftLayerParity,
                         testing::Combine(testing::Values("t16_d32_e4_p3", "t49_d64_e8_p1"),
                                          testing::Values("fp32", "bf16")),
                         [](const auto& entry) {
                           return std::get<0>(entry.param) + "_" + std::get<1>(entry.param);
                         });

/// Whether the dispatch dtype does anything: a test of the tests above.
TEST(SoftLayerParityModes, DifferByTheRoundingOfTheData) {
  const LayerCase reference("t16_d32_e4_p3", "fp32");
  const auto rounded = reference.at("bf16/y");
  EXPECT_FALSE(all_close(reference.layer()->forward(reference.at("x")), rounded,
                         Tolerance{.absolute = 1e-4}));
}

TEST(SoftLayerParityMetrics, OfDispatchCombineAndSlotParameters) {
  for (const auto* name : {"t16_d32_e4_p3", "t49_d64_e8_p1"}) {
    const LayerCase reference(name, "fp32");
    auto layer = reference.layer();
    RoutingRecord record;
    layer->forward(reference.at("x"), &record);
    const auto statistics = routing_statistics(record);
    const auto phi = layer->named_parameters()["router.phi"].flatten(1);  // [dim, slots]
    const auto expect = [&](const torch::Tensor& actual, const std::string& metric) {
      EXPECT_TRUE(all_close(actual, reference.at("metrics/" + metric))) << name << " " << metric;
    };
    const auto expect_similarity = [&](const Similarity& similarity, const std::string& metric) {
      expect(similarity.min, metric + "_similarity_min");
      expect(similarity.max, metric + "_similarity_max");
      expect(similarity.mean, metric + "_similarity_mean");
    };
    expect(statistics.dispatch_min, "dispatch_weights_min_mean");
    expect(statistics.dispatch_max, "dispatch_weights_max_mean");
    expect(statistics.combine_min, "combine_weights_min_mean");
    expect(statistics.combine_max, "combine_weights_max_mean");
    expect_similarity(statistics.dispatch_similarity, "dispatch_weights");
    expect_similarity(statistics.combine_similarity, "combine_weights");
    expect_similarity(column_similarity(phi), "mu");
  }
}

class SoftAblationParity : public testing::TestWithParam<std::string> {};

TEST_P(SoftAblationParity, OutputsInFp64) {
  const DefaultDtypeGuard fp64(torch::kFloat64);
  const auto path = fixture("routers/soft_ablations.npz");
  const auto arrays = read_npz(path);
  const auto phi = npz_array(arrays, "phi", path);     // [dim, experts, slots_per_expert]
  const auto matrices = npz_array(arrays, "A", path);  // [experts, dim, dim]
  MoeLayerOptions options;
  options.dim = phi.size(0);
  options.hidden_dim = 1;
  options.moe.router = GetParam();
  options.moe.experts = phi.size(1);
  options.moe.slots_per_expert = phi.size(2);
  const auto handle = make_router(options);
  auto parameters = handle.module->named_parameters();
  const torch::NoGradGuard no_grad;
  if (parameters.contains("phi")) {
    parameters["phi"].copy_(phi);
    parameters["scale"].copy_(npz_array(arrays, "scale", path));
  }
  RoutingRecord record;
  const auto routed = handle.router->route(npz_array(arrays, "x", path), {}, &record);
  const auto y = handle.router->combine(routed, routed.expert_inputs.bmm(matrices));
  EXPECT_EQ(y.scalar_type(), torch::kFloat64);
  EXPECT_TRUE(all_close(y, npz_array(arrays, "y_" + GetParam(), path)));
  if (GetParam() == "soft" || GetParam() == "soft_uniform") {
    EXPECT_TRUE(all_close(record.dispatch, npz_array(arrays, "dispatch", path)));
  }
  if (GetParam() == "soft" || GetParam() == "uniform_soft") {
    EXPECT_TRUE(all_close(record.combine, npz_array(arrays, "combine", path)));
  }
}

INSTANTIATE_TEST_SUITE_P(Mixings, SoftAblationParity,
                         testing::Values("soft", "soft_uniform", "uniform_soft", "uniform",
                                         "identity"),
                         [](const auto& entry) { return entry.param; });

}  // namespace softmoe::soft_layer_parity_test

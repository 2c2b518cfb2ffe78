#include <gtest/gtest.h>

#include <map>
#include <string>

#include "support/tensor_matcher.h"
#include "vit/small_models.h"

namespace softmoe {
namespace {

TEST(GradCheckpointing, GivesEqualGradients) {
  for (const auto* router : {"", "soft", "tokens_choice", "experts_choice"}) {
    auto options = *router == '\0' ? test::small_options() : test::small_moe_options(router);
    options.drop = 0.1;
    options.drop_path = 0.2;
    options.moe.router_noise = 0.1;
    auto model = test::lively_model(options);
    model->train();
    const auto images =
        torch::rand({3, options.in_chans, options.image_height(), options.image_width()});
    const auto gradients = [&](bool checkpoints) {
      model->set_grad_checkpointing(checkpoints);
      model->zero_grad();
      torch::manual_seed(5);
      RoutingWants wants{.load = true};
      auto records = model->routing_records(wants);
      model->forward(images, &records).square().sum().backward();
      std::map<std::string, torch::Tensor> all;
      for (const auto& item : model->named_parameters()) {
        all[item.key()] = item.value().grad().clone();
      }
      return all;
    };
    const auto kept = gradients(false);
    for (const auto& [name, gradient] : gradients(true)) {
      EXPECT_TRUE(test::same_bits(gradient, kept.at(name))) << router << " " << name;
    }
  }
}

}  // namespace
}  // namespace softmoe

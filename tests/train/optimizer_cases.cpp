#include "train/optimizer_cases.h"

#include "io/npz.h"
#include "support/temporary_folder.h"

namespace softmoe::test {

void expect_reference_trajectory(const std::string& name, const OptimizerOptions& options,
                                 const ScheduleOptions& schedule_options) {
  const auto path = fixture("vmoe/recipe.npz");
  const auto arrays = read_npz(path);
  const std::string prefix = "optim/params0/";
  Parameters parameters;
  for (const auto& [key, array] : arrays) {
    if (key.starts_with(prefix)) {
      parameters.push_back({key.substr(prefix.size()), array.clone().requires_grad_()});
    }
  }
  ASSERT_EQ(parameters.size(), 8);
  const auto optimizer = make_optimizer(parameters, options);
  TrainOptions train;
  train.epochs = 6;
  const Schedule schedule(schedule_options, RunLength(train, {}));
  for (int64_t step = 0; step < 6; ++step) {
    for (auto& [key, tensor] : parameters) {
      tensor.mutable_grad() = npz_array(arrays, "optim/grads/" + key, path)[step].clone();
    }
    optimizer->clip_and_step(schedule.rate(step), options.clip_grad);
    for (const auto& [key, tensor] : parameters) {
      const auto expected = npz_array(arrays, "optim/" + name + "/" + key, path)[step];
      EXPECT_TRUE(all_close(tensor.detach(), expected)) << key << ", step " << step;
    }
  }
}

}  // namespace softmoe::test

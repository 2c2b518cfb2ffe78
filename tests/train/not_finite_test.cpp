#include "train/not_finite.h"

#include <gmock/gmock.h>

#include <limits>

#include "checkpoints/model_checkpoint.h"
#include "core/error.h"
#include "io/atomic_file.h"
#include "io/bounded_json.h"
#include "support/temporary_folder.h"
#include "train/hooks/hook_cases.h"
#include "train/tiny_run.h"

namespace softmoe {
namespace {

using test::Corners;
using test::TemporaryFolder;
using test::TinyRun;
using testing::AllOf;
using testing::HasSubstr;

constexpr int64_t kWhite = 17;  // the image that leads to infinities

/// Black images, but for one white one.
class OneWhite : public Corners {
 public:
  using Corners::Corners;
  Sample get(int64_t index) const override {
    auto sample = Corners::get(index);
    sample.image.setTo(index == kWhite ? 255 : 0);
    return sample;
  }
};

TinyRun run_with(OnNan on_nan) {
  auto run = test::tiny_run();
  run.preprocess.mean = {0.0};
  run.train.epochs = 2;
  run.train.on_nan = on_nan;
  return run;
}

/// Trains a model for which a white image is too much: sums over its pixels are infinite in fp32.
TrainResult train_fragile(const TinyRun& run, const std::filesystem::path& path,
                          const Dataset& set) {
  const OneWhite val_set(12);
  auto setup = test::setup_of(run);
  {
    const torch::NoGradGuard no_grad;
    setup.start.model->named_parameters()["patch_embed.proj.weight"].fill_(1e38);
  }
  RunFolder folder(path);
  Trainer trainer(std::move(setup), set, val_set, folder);
  return trainer.run();
}

class NotFiniteTest : public testing::Test {
 protected:
  TrainResult train(const TinyRun& run, const Dataset& set) {
    return train_fragile(run, folder_.path(), set);
  }
  int64_t skipped() const {
    return load_metadata(folder_ / "last.h5").at("progress").at("skipped_updates").get<int64_t>();
  }

  TemporaryFolder folder_;
  OneWhite train_set_{120};
};

TEST_F(NotFiniteTest, StopsWithThePlaceAndTheImages) {
  std::string message;
  try {
    train(run_with(OnNan::kStop), train_set_);
  } catch (const InputError& error) {
    message = error.what();
  }
  EXPECT_THAT(message,
              AllOf(HasSubstr("the loss is nan at update "), HasSubstr("first in patch_embed"),
                    HasSubstr("softmoe train --config "), HasSubstr("--on-nan skip")));
  const auto step = load_metadata(folder_ / "last.h5").at("progress").at("step").get<int64_t>();
  const auto path = folder_ / ("nan-" + std::to_string(step + 1) + ".json");
  const auto report = parse_json(read_text_file(path), path.string());
  std::vector<int64_t> indices;
  for (const auto& image : report.at("images")) {
    indices.push_back(image.at("index").get<int64_t>());
  }
  EXPECT_EQ(indices.size(), 12U);
  EXPECT_THAT(indices, testing::Contains(kWhite));

  // The state that leads to it was saved, so that it can be looked into.
  try {
    train(run_with(OnNan::kStop), train_set_);
    FAIL() << "the run went on";
  } catch (const InputError& error) {
    EXPECT_EQ(error.what(), message);
  }
  // Options say how to go on.
  EXPECT_EQ(train(run_with(OnNan::kSkip), train_set_).steps, 20);
}

TEST_F(NotFiniteTest, SkipsTheBatchesOfTheUpdateAlone) {
  const test::LogLines log;
  EXPECT_EQ(train(run_with(OnNan::kSkip), train_set_).steps, 20);
  // The image comes once in each epoch; batches of the third make up for those left out.
  EXPECT_THAT(skipped(), testing::AnyOf(2, 3));
  EXPECT_THAT(log.lines(),
              testing::Contains(HasSubstr("its batches are left out, in all 1 update")));
}

TEST_F(NotFiniteTest, RollsBackToTheLastCheckpointAndLeavesOutWhatFollowedIt) {
  auto run = run_with(OnNan::kRollback);
  run.train.checkpoint_interval = 0.4;  // 4 updates
  run.train.eval_interval = 2;
  EXPECT_EQ(train(run, train_set_).steps, 20);
  EXPECT_GE(skipped(), 2);
  EXPECT_LE(skipped(), 12);
}

TEST_F(NotFiniteTest, ResumedRunsSkipTheSameBatches) {
  const auto run = run_with(OnNan::kSkip);
  const TemporaryFolder whole;
  train_fragile(run, whole.path(), train_set_);
  OneWhite stopping(120);
  stopping.interrupt_after(150);
  EXPECT_THROW(train(run, stopping), Interrupted);
  train(run, train_set_);
  test::expect_same_run(whole.path(), folder_.path());
}

TEST_F(NotFiniteTest, EndsIfNothingHelps) {
  auto run = run_with(OnNan::kSkip);
  run.schedule.lr = std::numeric_limits<double>::infinity();
  EXPECT_THAT([&] { train(run, Corners(120)); },
              testing::ThrowsMessage<InputError>(HasSubstr("after 10 attempts to go on")));
}

TEST(FirstNotFinite, NamesTheBlock) {
  auto run = test::tiny_run();
  run.model.moe_blocks = "none";
  auto model = make_model(run.model, 0);
  const Batch batch{.images = torch::rand({2, 1, 8, 8}),
                    .labels = torch::zeros({2}, torch::kInt64),
                    .indices = {}};
  EXPECT_EQ(first_not_finite(model, batch, torch::kFloat32), "the loss");
  const torch::NoGradGuard no_grad;
  auto weights = model->named_parameters();
  weights["blocks.1.mlp.fc2.weight"].fill_(3e38F);
  EXPECT_EQ(first_not_finite(model, batch, torch::kFloat32), "blocks.1");
  weights["blocks.0.attn.proj.bias"][2] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(first_not_finite(model, batch, torch::kFloat32), "parameter blocks.0.attn.proj.bias");
}

}  // namespace
}  // namespace softmoe

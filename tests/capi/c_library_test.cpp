/// The C library as a program in C uses it.

#include <ATen/Parallel.h>
#include <gmock/gmock.h>

#include <fstream>
#include <sstream>
#include <thread>

#include "capi/softmoe.h"
#include "checkpoints/model_checkpoint.h"
#include "core/split_text.h"
#include "inference/image_inputs.h"
#include "inference/predictor.h"
#include "io/npz.h"
#include "support/run_program.h"
#include "support/temporary_folder.h"
#include "support/tensor_matcher.h"
#include "vit/small_models.h"

namespace softmoe {
namespace {

using test::ProgramRun;
using testing::HasSubstr;
using testing::SizeIs;

class CLibrary : public testing::Test {
 protected:
  void save_model() {
    const auto options = test::small_moe_options();
    ModelDescription description{.name = "tiny",
                                 .options = options,
                                 .class_names = {"a", "b", "c", "d", "e", "f", "g"},
                                 .preprocess = default_preprocess(options)};
    save_checkpoint(checkpoint_, {.metadata = to_metadata(description),
                                  .model = named_tensors(*test::lively_model(options))});
  }

  void write_pixels(const torch::Tensor& pixels) const {
    std::ofstream(pixels_, std::ios::binary)
        .write(reinterpret_cast<const char*>(pixels.const_data_ptr()),
               static_cast<std::streamsize>(pixels.nbytes()));
  }

  /// Runs the example for `count` images of 18 x 27 pixels.
  ProgramRun run_example(const std::string& count = "5", const std::string& channels = "3") const {
    test::ProgramSetting setting;
    setting.executable = SOFTMOE_C_EXAMPLE;
    return test::run_program({checkpoint_, pixels_, count, "18", "27", channels}, setting);
  }

  test::TemporaryFolder folder_;
  std::string checkpoint_ = (folder_ / "tiny.h5").string();
  std::string pixels_ = (folder_ / "pixels").string();
};

torch::Tensor random_pixels() {
  torch::manual_seed(4);
  return torch::randint(0, 256, {5, 18, 27, 3},
                        torch::kUInt8);  // [images, height, width, channels]
}

TEST_F(CLibrary, PredictsAsTheProgramDoes) {
  save_model();
  const auto pixels = random_pixels();
  write_pixels(pixels);
  const auto run = run_example();
  ASSERT_EQ(run.exit_code, 0) << run.error;
  Predictor predictor(load_model(checkpoint_), checkpoint_);
  const auto set = open_image_array(pixels, "pixels");
  const auto expected = predictor.predict(*set, 5, 1, {.topk = 1, .logits = true});
  const auto lines = split_text(run.output, '\n');
  ASSERT_THAT(lines, SizeIs(5));
  auto logits = torch::empty_like(expected.logits);  // [images, classes]
  for (int64_t image = 0; image < 5; ++image) {
    std::istringstream words(lines[static_cast<size_t>(image)]);
    std::string name;
    words >> name;
    EXPECT_EQ(name, predictor.class_name(expected.classes[image][0].item<int64_t>()));
    for (int64_t label = 0; label < logits.size(1); ++label) {
      float value = NAN;
      words >> value;
      logits[image][label] = value;
    }
  }
  EXPECT_TRUE(test::all_close(logits, expected.logits));
}

TEST_F(CLibrary, GivesOneLineForWhatIsWrong) {
  const auto no_model = run_example();
  EXPECT_EQ(no_model.exit_code, 1);
  ASSERT_THAT(no_model.error_lines(), SizeIs(1));
  EXPECT_THAT(no_model.error, HasSubstr("tiny.h5"));

  save_model();
  write_pixels(random_pixels().slice(0, 0, 2).repeat({1, 1, 1, 2}));  // six channels
  const auto bad_channels = run_example("2", "6");
  EXPECT_EQ(bad_channels.exit_code, 1);
  EXPECT_EQ(bad_channels.error, "channels: expected 1 or 3, found 6\n");

  write_pixels(torch::empty({0}, torch::kUInt8));
  const auto no_images = run_example("0");
  EXPECT_EQ(no_images.exit_code, 1);
  EXPECT_EQ(no_images.error, "count: expected at least 1, found 0\n");
}

/// The functions of the library in this process.
class CFunctions : public CLibrary {
 protected:
  softmoe_model* load(const softmoe_options& options) const {
    return softmoe_load(checkpoint_.c_str(), &options);
  }
  /// Why a model with such options cannot be had.
  std::string load_error(const softmoe_options& options) const {
    EXPECT_EQ(load(options), nullptr);
    return softmoe_last_error();
  }
};

TEST_F(CFunctions, TakeNullForAModel) {
  EXPECT_EQ(softmoe_model_shape(nullptr).feature_dim, 0);
  EXPECT_EQ(softmoe_class_name(nullptr, 0), nullptr);
  softmoe_free(nullptr);
  const float image = 0;
  EXPECT_EQ(softmoe_predict(nullptr, &image, 1, nullptr, nullptr), -1);
  EXPECT_STREQ(softmoe_last_error(), "model: expected a pointer, found null");
}

TEST_F(CFunctions, NameTheOptionThatIsWrong) {
  save_model();
  EXPECT_EQ(load_error({nullptr, nullptr, /*threads=*/-1, 0}),
            "threads: expected 0 to 1024, found -1");
  EXPECT_EQ(load_error({nullptr, nullptr, 0, /*batch_size=*/-2}),
            "batch_size: expected 0 to 2147483647, found -2");
  EXPECT_EQ(load_error({nullptr, "float8", 0, 0}),
            "dtype: expected one of auto, float32, bfloat16, int8, int8_experts, found 'float8'");
  EXPECT_EQ(load_error({"gpu", nullptr, 0, 0}),
            "device: expected auto, cpu, cuda or cuda:<index>, found 'gpu'");
}

TEST_F(CFunctions, NameTheSizeThatIsWrong) {
  save_model();
  auto* const model = load({"cpu", "float32", 0, 0});
  ASSERT_NE(model, nullptr) << softmoe_last_error();
  const uint8_t pixel = 0;
  const auto error = [&](int64_t count, int64_t height, int64_t width, int64_t channels) {
    EXPECT_EQ(
        softmoe_predict_pixels(model, &pixel, count, height, width, channels, nullptr, nullptr),
        -1);
    return std::string(softmoe_last_error());
  };
  EXPECT_EQ(error(1, 2, 3, -3), "channels: expected 1 or 3, found -3");
  EXPECT_EQ(error(1, 0, 3, 1), "height: expected 1 to 1048576, found 0");
  EXPECT_EQ(error(1, 2, int64_t{1} << 40, 1), "width: expected 1 to 1048576, found 1099511627776");
  EXPECT_THAT(error(int64_t{1} << 62, 2, 3, 1), HasSubstr("count: expected at most"));
  const float value = 0;
  EXPECT_EQ(softmoe_predict(model, &value, int64_t{1} << 62, nullptr, nullptr), -1);
  EXPECT_THAT(softmoe_last_error(), HasSubstr("count: expected at most"));
  softmoe_free(model);
}

TEST_F(CFunctions, ReadFilesOfOtherLibraries) {
  const auto file = test::fixture("vmoe/tiny_vit_soft_gap.npz");
  checkpoint_ = file.string();
  auto* const model = load({"cpu", "float32", 0, 0});
  ASSERT_NE(model, nullptr) << softmoe_last_error();
  const auto arrays = read_npz(file);
  const auto& images = arrays.at("images");  // [images, height, width, channels]
  auto logits = torch::empty_like(arrays.at("fp32/logits"));
  ASSERT_EQ(softmoe_model_shape(model).classes, logits.size(1));
  EXPECT_EQ(softmoe_predict(model, images.const_data_ptr<float>(), images.size(0),
                            logits.data_ptr<float>(), nullptr),
            0)
      << softmoe_last_error();
  EXPECT_TRUE(test::all_close(logits, arrays.at("fp32/logits")));
  softmoe_free(model);
}

TEST_F(CFunctions, LeaveTheNumberOfThreadsAsItIs) {
  save_model();
  const int before = at::get_num_threads();
  at::set_num_threads(3);
  auto* const model = load({"cpu", "float32", /*threads=*/2, 0});
  EXPECT_EQ(at::get_num_threads(), 3);
  ASSERT_NE(model, nullptr) << softmoe_last_error();
  const auto pixels = random_pixels();
  std::vector<float> logits(static_cast<size_t>(5 * softmoe_model_shape(model).classes));
  EXPECT_EQ(softmoe_predict_pixels(model, pixels.const_data_ptr<uint8_t>(), 5, 18, 27, 3,
                                   logits.data(), nullptr),
            0)
      << softmoe_last_error();
  EXPECT_EQ(at::get_num_threads(), 3);
  softmoe_free(model);
  at::set_num_threads(before);
}

TEST_F(CFunctions, LeaveTheNumberOfThreadsOfNewThreadsWhereTwoModelsWorkAtOnce) {
  save_model();
  const int before = at::get_num_threads();
  at::set_num_threads(3);
  const auto pixels = random_pixels();
  std::vector<std::thread> callers;
  for (const int threads : {1, 2}) {
    callers.emplace_back([&, threads] {
      auto* const model = load({"cpu", "float32", threads, 0});
      std::vector<float> logits(static_cast<size_t>(5 * softmoe_model_shape(model).classes));
      for (int call = 0; call < 20; ++call) {
        softmoe_predict_pixels(model, pixels.const_data_ptr<uint8_t>(), 5, 18, 27, 3, logits.data(),
                               nullptr);
      }
      softmoe_free(model);
    });
  }
  for (auto& caller : callers) {
    caller.join();
  }
  int in_new_thread = 0;
  std::thread([&] { in_new_thread = at::get_num_threads(); }).join();
  EXPECT_EQ(in_new_thread, 3);
  EXPECT_EQ(at::get_num_threads(), 3);
  at::set_num_threads(before);
}

}  // namespace
}  // namespace softmoe

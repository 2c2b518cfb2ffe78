#include "inference/predictor.h"

#include <gmock/gmock.h>

#include <fstream>
#include <opencv2/imgcodecs.hpp>
#include <optional>

#include "core/error.h"
#include "core/rng.h"
#include "datasets/image_file.h"
#include "inference/image_inputs.h"
#include "ops/initialization.h"
#include "support/error_text.h"
#include "support/peak_memory.h"
#include "support/temporary_folder.h"
#include "support/tensor_matcher.h"
#include "vit/small_models.h"

namespace softmoe {
namespace {

using test::all_close;
using test::same_bits;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr int64_t kHeight = 8;
constexpr int64_t kWidth = 12;

LoadedModel tiny_model(const VitOptions& options = test::small_moe_options()) {
  LoadedModel loaded;
  loaded.model = test::lively_model(options);
  loaded.model->eval();
  loaded.description = {.name = "tiny",
                        .options = options,
                        .class_names = {},
                        .preprocess = default_preprocess(options)};
  return loaded;
}

/// Images in the model's own size and range.
torch::Tensor ready_images(int64_t count) {
  torch::manual_seed(3);
  return torch::rand({count, kHeight, kWidth, 3}) * 2 - 1;  // [images, height, width, channels]
}

/// Images as cameras give them, of another size than the model's.
torch::Tensor raw_images(int64_t count) {
  torch::manual_seed(4);
  return torch::randint(0, 256, {count, 18, 27, 3}, torch::kUInt8);
}

void write_image(const std::filesystem::path& path, const torch::Tensor& image) {
  std::filesystem::create_directories(path.parent_path());
  const auto bytes =
      encode_png(cv::Mat(static_cast<int>(image.size(0)), static_cast<int>(image.size(1)), CV_8UC3,
                         image.data_ptr<uint8_t>()));
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
}

const PredictionRequest kEverything{.topk = 3, .logits = true, .features = true};

template <typename Action>
std::string input_error(Action action) {
  try {
    action();
  } catch (const UsageError&) {
    return "a usage error";
  } catch (const InputError& error) {
    return error.what();
  }
  return "no error";
}

TEST(Predictor, GivesLogitsAndFeaturesOfTheModel) {
  auto loaded = tiny_model();
  const auto images = ready_images(5);
  const auto model_images = images.permute({0, 3, 1, 2});  // [images, channels, height, width]
  const torch::NoGradGuard no_grad;
  const auto logits = loaded.model(model_images);                      // [images, classes]
  const auto features = loaded.model->forward_features(model_images);  // [images, feature_dim]
  Predictor predictor(loaded, "tiny.h5");
  const auto predictions = predictor.predict(images, "x", /*batch_size=*/5, kEverything);
  EXPECT_TRUE(all_close(predictions.logits, logits));
  EXPECT_TRUE(all_close(predictions.features, features));
  EXPECT_TRUE(same_bits(predictions.indices, torch::arange(5)));
  EXPECT_TRUE(same_bits(predictions.classes.select(1, 0), logits.argmax(1)));
  EXPECT_TRUE(all_close(predictions.probabilities, std::get<0>(logits.softmax(1).topk(3))));
}

TEST(Predictor, DoesNotDependOnTheBatchSize) {
  Predictor predictor(tiny_model(), "tiny.h5");
  const auto images = ready_images(7);
  const auto together = predictor.predict(images, "x", /*batch_size=*/100, kEverything);
  const auto apart = predictor.predict(images, "x", /*batch_size=*/3, kEverything);
  EXPECT_TRUE(all_close(apart.logits, together.logits));
  EXPECT_TRUE(all_close(apart.features, together.features));
  EXPECT_TRUE(same_bits(apart.classes, together.classes));
  EXPECT_TRUE(same_bits(apart.indices, together.indices));
}

TEST(Predictor, KeepsOnlyWhatWasAskedFor) {
  Predictor predictor(tiny_model(), "tiny.h5");
  const auto predictions = predictor.predict(ready_images(2), "x", 2, {.topk = 100});
  EXPECT_FALSE(predictions.logits.defined());
  EXPECT_FALSE(predictions.features.defined());
  EXPECT_EQ(predictions.classes.size(1), 7);
  EXPECT_TRUE(all_close(predictions.probabilities.sum(1), torch::ones({2})));
}

TEST(Predictor, GivesIndependentProbabilitiesAfterSigmoidTraining) {
  auto loaded = tiny_model();
  loaded.description.likelihood = Likelihood::kSigmoid;
  Predictor predictor(loaded, "tiny.h5");
  const auto predictions = predictor.predict(ready_images(4), "x", 4, kEverything);
  const auto expected = std::get<0>(predictions.logits.topk(3)).sigmoid();  // [images, 3]
  EXPECT_TRUE(all_close(predictions.probabilities, expected));
}

TEST(Predictor, PrefersTheFirstOfEqualClasses) {
  auto loaded = tiny_model();
  {
    const torch::NoGradGuard no_grad;
    loaded.model->named_parameters()["head.weight"].zero_();
    loaded.model->named_parameters()["head.bias"].zero_();
  }
  Predictor predictor(loaded, "tiny.h5");
  const auto predictions = predictor.predict(ready_images(1), "x", 1, {.topk = 4});
  EXPECT_TRUE(same_bits(predictions.classes, torch::arange(4).unsqueeze(0)));
}

TEST(Predictor, TreatsArraysAndFilesAlike) {
  const test::TemporaryFolder folder;
  const auto images = raw_images(6);
  std::vector<std::string> paths;
  for (int64_t i = 0; i < images.size(0); ++i) {
    paths.push_back((folder / ("image" + std::to_string(i) + ".png")).string());
    write_image(paths.back(), images[i]);
  }
  const auto from_files = open_image_paths(paths);
  const auto from_array = open_image_array(images, "x");
  for (int64_t i = 0; i < images.size(0); ++i) {
    const auto file_image = from_files->get(i).image;
    EXPECT_EQ(cv::norm(file_image, from_array->get(i).image, cv::NORM_INF), 0.0) << i;
  }
  Predictor predictor(tiny_model(), "tiny.h5");
  const auto of_array = predictor.predict(*from_array, 4, 1, kEverything);
  const auto of_files = predictor.predict(*from_files, 4, 3, kEverything);
  EXPECT_TRUE(same_bits(of_files.logits, of_array.logits));
  EXPECT_TRUE(same_bits(of_files.features, of_array.features));
  EXPECT_GT((of_array.logits[0] - of_array.logits[1]).abs().max().item<float>(), 1e-3);
}

TEST(Predictor, LeavesOutAndListsImagesThatCannotBeRead) {
  const test::TemporaryFolder folder;
  const auto images = raw_images(5);
  for (int64_t i = 0; i < images.size(0); ++i) {
    write_image(folder / (std::to_string(i) + ".png"), images[i]);
  }
  std::filesystem::resize_file(folder / "1.png", 100);
  std::ofstream(folder / "3.png", std::ios::trunc) << "no image";
  Predictor predictor(tiny_model(), "tiny.h5");
  const auto set = open_image_paths({folder.path().string(), (folder / "none.png").string()});
  const auto predictions = predictor.predict(*set, 2, 2, kEverything);
  EXPECT_TRUE(same_bits(predictions.indices, torch::tensor({0, 2, 4})));
  const auto whole = predictor.predict(*open_image_array(images, "x"), 2, 2, kEverything);
  EXPECT_TRUE(all_close(predictions.logits, whole.logits.index_select(0, predictions.indices)));
  ASSERT_EQ(predictions.bad.size(), 3U);
  EXPECT_EQ(predictions.bad[0].index, 1);
  EXPECT_THAT(predictions.bad[0].reason, HasSubstr((folder / "1.png").string()));
  EXPECT_EQ(predictions.bad[1].index, 3);
  EXPECT_THAT(predictions.bad[1].reason, HasSubstr((folder / "3.png").string()));
  EXPECT_EQ(predictions.bad[2].index, 5);
  EXPECT_THAT(predictions.bad[2].reason, HasSubstr((folder / "none.png").string()));
}

TEST(Predictor, GivesNoRowsWhereNoImageCanBeRead) {
  Predictor predictor(tiny_model(), "tiny.h5");
  const auto predictions = predictor.predict(*open_image_paths({"/no/file.png"}), 2, 2, {});
  EXPECT_EQ(predictions.indices.size(0), 0);
  EXPECT_EQ(predictions.bad.size(), 1U);
}

TEST(Predictor, GivesFeaturesOfAModelWithoutAHead) {
  auto options = test::small_options();
  options.num_classes = 0;
  Predictor predictor(tiny_model(options), "tiny.h5");
  EXPECT_FALSE(predictor.has_head());
  const auto predictions = predictor.predict(ready_images(2), "x", 2, kEverything);
  EXPECT_EQ(predictions.features.sizes(), (torch::IntArrayRef{2, 24}));
  EXPECT_FALSE(predictions.classes.defined());
  EXPECT_FALSE(predictions.logits.defined());
}

TEST(Predictor, NamesClassesByNumberWhereTheyHaveNoNames) {
  auto loaded = tiny_model();
  EXPECT_EQ(Predictor(loaded, "tiny.h5").class_name(4), "4");
  loaded.description.class_names = {"a", "b", "c", "d", "e", "f", "g"};
  EXPECT_EQ(Predictor(loaded, "tiny.h5").class_name(4), "e");
}

TEST(Predictor, RefusesArraysThatTheModelCannotTake) {
  Predictor predictor(tiny_model(), "tiny.h5");
  const auto error = [&](const torch::Tensor& images) {
    return input_error([&] { predictor.predict(images, "X.npz: images", 2, {}); });
  };
  EXPECT_EQ(error(torch::zeros({2, kWidth, kHeight, 3})),
            "X.npz: images: expected floating point [images, 8, 12, 3] as the model takes them, "
            "found float32 [2, 12, 8, 3]");
  EXPECT_THAT(error(torch::zeros({2, kHeight, kWidth})), HasSubstr("found float32 [2, 8, 12]"));
  EXPECT_THAT(error(torch::zeros({0, kHeight, kWidth, 3})),
              HasSubstr("found float32 [0, 8, 12, 3]"));
  EXPECT_THAT(error(torch::zeros({2, kHeight, kWidth, 3}, torch::kInt)), HasSubstr("found int32"));
  auto images = ready_images(5);
  images[3][0][0][0] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(error(images),
            "X.npz: images: expected finite numbers, found NaN or infinity in images 2 to 3");
}

TEST(Predictor, NamesTheCheckpointWhoseLogitsAreNotFinite) {
  auto loaded = tiny_model();
  {
    const torch::NoGradGuard no_grad;
    loaded.model->named_parameters()["head.bias"][2] = std::numeric_limits<float>::infinity();
  }
  Predictor predictor(loaded, "tiny.h5");
  EXPECT_EQ(input_error([&] { predictor.predict(ready_images(3), "x", 2, {}); }),
            "tiny.h5: expected finite logits, found NaN or infinity for image 0");
}

TEST(Predictor, TakesReadyImagesOfAnyNumberOfChannelsAndOthersOfOneOrThree) {
  auto options = test::small_moe_options();
  options.in_chans = 5;
  Predictor predictor(tiny_model(options), "five.h5");
  torch::manual_seed(3);
  const auto images = torch::rand({2, kHeight, kWidth, 5});
  EXPECT_EQ(predictor.predict(images, "images", 2, {}).classes.size(0), 2);
  const auto error = test::input_error(
      [&] { predictor.predict(*open_image_array(raw_images(1), "x"), 1, 1, {}); });
  EXPECT_THAT(error, HasSubstr("five.h5: expected 1 or 3 channels"));
  EXPECT_THAT(error, HasSubstr("found 5 channels"));
}

TEST(Predictor, NamesTheCheckpointWhosePreprocessingItCannotRead) {
  auto loaded = tiny_model();
  loaded.description.preprocess->mean = {0.1, 0.2};
  const auto error = input_error([&] { Predictor(loaded, "tiny.h5"); });
  EXPECT_THAT(error, HasSubstr("tiny.h5: preprocess"));
  EXPECT_THAT(error, HasSubstr("mean"));
  loaded = tiny_model();
  loaded.description.preprocess.reset();
  EXPECT_EQ(input_error([&] { Predictor(loaded, "tiny.h5"); }),
            "tiny.h5: preprocess: expected an object of options, found null");
  loaded = tiny_model();
  loaded.description.preprocess->input_size = {1, kHeight, kWidth};
  EXPECT_EQ(input_error([&] { Predictor(loaded, "tiny.h5"); }),
            "tiny.h5: preprocess: expected input-size 3 8 12, found 1 8 12");
}

TEST(ImagePaths, ExpandFoldersInOrderAndKeepFilesAsGiven) {
  const test::TemporaryFolder folder;
  const auto images = raw_images(1);
  for (const auto* name : {"b/2.png", "b/1.png", "a.png", "c.png"}) {
    write_image(folder / name, images[0]);
  }
  std::ofstream(folder / "notes.txt") << "no image";
  const auto path = [&](const std::string& name) { return (folder / name).string(); };
  const auto set = open_image_paths({path("c.png"), folder.path().string(), path("none")});
  std::vector<std::string> names;
  for (int64_t i = 0; i < set->size(); ++i) {
    names.push_back(set->sample_name(i));
  }
  EXPECT_THAT(names, ElementsAre(path("c.png"), path("a.png"), path("b/1.png"), path("b/2.png"),
                                 path("c.png"), path("none")));
}

TEST(ImagePaths, NamesAFolderWithoutImages) {
  const test::TemporaryFolder folder;
  EXPECT_EQ(input_error([&] { open_image_paths({folder.path().string()}); }),
            folder.path().string() + ": expected image files in the folder, found none");
}

TEST(ImageArray, KeepsPixelsAndOrder) {
  const auto images = raw_images(3).permute({0, 2, 1, 3});  // not contiguous
  const auto set = open_image_array(images, "X.npz: images");
  EXPECT_EQ(set->size(), 3);
  EXPECT_EQ(set->sample_name(2), "X.npz: images[2]");
  const auto image = set->get(2).image;
  EXPECT_EQ(image.rows, 27);
  EXPECT_EQ(image.cols, 18);
  EXPECT_EQ(image.at<cv::Vec3b>(26, 5)[1], images[2][26][5][1].item<uint8_t>());
  EXPECT_THROW(set->get(3), c10::IndexError);
}

TEST(ImageArray, RefusesWhatIsNoImages) {
  const auto error = [](const torch::Tensor& images) {
    return input_error([&] { open_image_array(images, "X.npz: images"); });
  };
  EXPECT_EQ(error(torch::zeros({2, 5, 6, 4}, torch::kUInt8)),
            "X.npz: images: expected uint8 [images, height, width, 1 or 3 channels], found uint8 "
            "[2, 5, 6, 4]");
  EXPECT_THAT(error(torch::zeros({2, 5, 6, 3}, torch::kInt64)), HasSubstr("found int64"));
  EXPECT_THAT(error(torch::zeros({2, 5, 6}, torch::kUInt8)), HasSubstr("found uint8 [2, 5, 6]"));
  EXPECT_THAT(error(torch::zeros({0, 5, 6, 3}, torch::kUInt8)), HasSubstr("[0, 5, 6, 3]"));
}

TEST(Predictor, OfAFileNeedsLittleMoreMemoryThanTheWeights) {
  const test::TemporaryFolder folder;
  const auto path = folder / "large.h5";
  auto options = test::small_moe_options();
  options.dim = 256;
  options.heads = 4;
  options.mlp_dim = 1024;
  options.moe.experts = 96;
  {
    const DefaultDtypeGuard parameters(torch::kBFloat16);
    const VisionTransformer model(options);
    auto description = tiny_model().description;
    description.options = options;
    save_checkpoint(path, {.metadata = to_metadata(description), .model = named_tensors(*model)});
  }
  const auto bytes = static_cast<int64_t>(std::filesystem::file_size(path));
  ASSERT_GT(bytes, int64_t{80} << 20);
  std::optional<Predictor> predictor;
  const auto growth = test::peak_growth([&] {
    predictor.emplace(load_weights(path), path.string(), Precision::kBFloat16, torch::kCPU);
  });
  if (!growth || !predictor->model().is_packed()) {
    GTEST_SKIP() << "the model is not packed here, or the peak of memory cannot be measured";
  }
  EXPECT_LT(*growth, bytes * 115 / 100);
}

}  // namespace
}  // namespace softmoe

#include "inference/prediction_output.h"

#include <gmock/gmock.h>

#include "core/split_text.h"
#include "support/run_program.h"
#include "vit/small_models.h"

namespace softmoe {
namespace {

using testing::ElementsAre;

/// Two images with labels and, between them, one that could not be read.
class PredictionOutputTest : public testing::Test {
 protected:
  PredictionOutputTest() : predictor_(make_predictor()), output_(predictor_, predictions_, name) {
    predictions_.indices = torch::tensor({0, 2});
    predictions_.classes = torch::tensor({{1, 7}, {0, 3}});
    predictions_.probabilities = torch::tensor({{0.75F, 0.125F}, {0.5F, 1e-7F}});
    predictions_.bad = {{.index = 1, .reason = "b.png: damaged"}};
  }

  static Predictor make_predictor() {
    LoadedModel loaded;
    auto options = test::small_moe_options();
    options.num_classes = 10;
    loaded.model = test::lively_model(options);
    loaded.model->eval();
    loaded.description = {
        .name = "tiny",
        .options = options,
        .class_names = {"cat, small", "the \"dog\"", "c", "d", "e", "f", "g", "größer"},
        .preprocess = default_preprocess(options)};
    return {std::move(loaded), "tiny.h5"};
  }
  static std::string name(int64_t index) {
    return index == 2 ? "a folder/c,1.png"
                      : std::string(1, static_cast<char>('a' + index)) + ".png";
  }

  Predictions predictions_;
  Predictor predictor_;
  PredictionOutput output_;
};

TEST_F(PredictionOutputTest, TableNamesEachImageOnce) {
  EXPECT_EQ(output_.table(),
            "image                  label  probability\n"
            "a.png              the \"dog\"       0.7500\n"
            "                      größer       0.1250\n"
            "a folder/c,1.png  cat, small       0.5000\n"
            "                           d       0.0000\n");
}

TEST_F(PredictionOutputTest, CsvQuotesWhatNeedsIt) {
  EXPECT_THAT(split_text(output_.csv(), '\n'),
              ElementsAre("image,rank,class,name,probability", R"(a.png,1,1,"the ""dog""",0.75)",
                          "a.png,2,7,größer,0.125", R"("a folder/c,1.png",1,0,"cat, small",0.5)",
                          R"("a folder/c,1.png",2,3,d,1e-07)"));
}

TEST_F(PredictionOutputTest, JsonKeepsTheOrderOfTheImages) {
  const auto images = output_.json().at("images");
  ASSERT_EQ(images.size(), 3U);
  EXPECT_EQ(images[0].at("image"), "a.png");
  EXPECT_EQ(images[1], (Json{{"image", "b.png"}, {"error", "b.png: damaged"}}));
  EXPECT_EQ(images[2].at("predictions")[0],
            (Json{{"class", 0}, {"name", "cat, small"}, {"probability", 0.5}}));
  EXPECT_EQ(Json::parse(output_.text(PredictionFormat::kJson)), output_.json());
}

TEST_F(PredictionOutputTest, ClassesBeyondTheNamesAreNumbered) {
  predictions_.classes = torch::tensor({{9, 8}, {7, 6}});
  EXPECT_THAT(split_text(output_.csv(), '\n')[1], testing::HasSubstr("a.png,1,9,9,"));
}

}  // namespace
}  // namespace softmoe

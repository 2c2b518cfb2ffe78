#include "eval/model_evaluation.h"

#include <gmock/gmock.h>

#include "support/error_text.h"

namespace softmoe {
namespace {

using testing::HasSubstr;

TEST(ModelEvaluation, NamesTheClassThatDiffers) {
  ModelDescription model;
  model.options.num_classes = 3;
  check_classes({"x", "y", "z"}, model, "set");  // a model without names takes any
  EXPECT_EQ(test::input_error([&] { check_classes({"x"}, model, "set"); }),
            "set: expected the 3 classes of the checkpoint, found 1 class");
  model.class_names = {"a", "b", "c"};
  check_classes({"a", "b", "c"}, model, "set");
  EXPECT_THAT(test::input_error([&] {
                check_classes({"a", "c", "b"}, model, "set");
              }),
              HasSubstr("set: class 1: expected 'b' as in the checkpoint, found 'c'"));
}

TEST(ModelEvaluation, AutoIsTheDtypeOfTheTraining) {
  const Json metadata{{"config", {{"amp-dtype", "bfloat16"}}}};
  EXPECT_EQ(evaluation_dtype_name("auto", metadata), "bfloat16");
  EXPECT_EQ(evaluation_dtype_name("float32", metadata), "float32");
  EXPECT_EQ(evaluation_dtype_name("auto", Json::object()), "auto");
  EXPECT_EQ(evaluation_dtype("auto", metadata, torch::kCPU), torch::kBFloat16);
}

}  // namespace
}  // namespace softmoe

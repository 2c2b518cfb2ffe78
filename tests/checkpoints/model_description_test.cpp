/// The description of a model in the metadata of its checkpoint.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "checkpoints/model_checkpoint.h"
#include "core/error.h"

namespace softmoe {
namespace {

using testing::AllOf;
using testing::HasSubstr;

ModelDescription small_description(Likelihood likelihood) {
  ModelDescription description;
  description.name = "small";
  description.preprocess = Json::object();
  description.likelihood = likelihood;
  return description;
}

TEST(ModelDescription, KeepsEveryLikelihoodUnderTheNameOfItsLoss) {
  for (const auto& [likelihood, name] : kEnumNames<Likelihood>) {
    const auto metadata = to_metadata(small_description(likelihood));
    EXPECT_EQ(metadata.at("loss"), name);
    EXPECT_EQ(model_description(metadata, "model.h5").likelihood, likelihood);
  }
}

TEST(ModelDescription, RefusesAnUnknownLikelihood) {
  auto metadata = to_metadata(small_description(Likelihood::kSoftmax));
  metadata["loss"] = "hinge";
  try {
    model_description(metadata, "model.h5");
    FAIL() << "took an unknown loss";
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(),
                AllOf(HasSubstr("model.h5"), HasSubstr("softmax, sigmoid"), HasSubstr("'hinge'")));
  }
}

}  // namespace
}  // namespace softmoe

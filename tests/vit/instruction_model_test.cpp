#include "vit/instruction_model.h"

#include <gmock/gmock.h>

#include "core/error.h"
#include "softmoe/routers.h"
#include "support/error_text.h"
#include "support/gradient_check.h"
#include "support/tensor_matcher.h"
#include "vit/small_texts.h"

namespace softmoe {
namespace {

using testing::AllOf;
using testing::HasSubstr;

struct InstructionCase {
  std::string name;
  InstructionOptions options;
};

void PrintTo(const InstructionCase& model, std::ostream* out) { *out << model.name; }

/// The small image and text towers, with `router` in the last block of images, or none.
InstructionOptions small_instruction_options(const std::string& router = "") {
  InstructionOptions options{.image = test::small_options(),
                             .text = test::small_text_moe_options()};
  options.image.num_classes = 0;
  options.text.moe_blocks = "none";
  options.image.moe_blocks = "none";
  if (!router.empty()) {
    options.image.moe_blocks = "last_1";
    options.image.moe.router = router;
    options.image.moe.experts = 3;
    options.image.moe.slots_per_expert = test::small_text_moe_options(router).moe.slots_per_expert;
  }
  return options;
}

std::vector<InstructionCase> instruction_cases(TextRouting way) {
  std::vector<InstructionCase> cases;
  if (way == TextRouting::kByText) {
    cases.push_back({"dense", small_instruction_options()});
    auto token = small_instruction_options();
    token.image.class_token = true;
    token.image.global_pool = GlobalPool::kToken;
    cases.push_back({"class_token", token});
    auto map = small_instruction_options();
    map.image.global_pool = GlobalPool::kMap;
    cases.push_back({"attention_pooling", map});
  }
  for (const auto& row : router_rows()) {
    if (row.texts == way) {
      cases.push_back({std::string(row.name), small_instruction_options(std::string(row.name))});
    }
  }
  return cases;
}

InstructionModel lively_instruction_model(const InstructionOptions& options) {
  torch::manual_seed(4);
  InstructionModel model(options);
  const torch::NoGradGuard no_grad;
  for (auto& parameter : model->parameters()) {
    if (parameter.dim() > 0) {
      parameter.add_(0.1 * torch::randn_like(parameter));
    }
  }
  model->eval();
  return model;
}

torch::Tensor images_of(const InstructionOptions& options, int64_t batch,
                        torch::Dtype dtype = torch::kFloat32) {
  torch::manual_seed(5);
  return torch::randn(
      {batch, options.image.in_chans, options.image.image_height(), options.image.image_width()},
      dtype);
}

class Questions : public testing::TestWithParam<InstructionCase> {};
class QuestionsByThemselves : public testing::TestWithParam<InstructionCase> {};

INSTANTIATE_TEST_SUITE_P(ByText, Questions,
                         testing::ValuesIn(instruction_cases(TextRouting::kByText)),
                         [](const auto& row) { return row.param.name; });
INSTANTIATE_TEST_SUITE_P(Together, Questions,
                         testing::ValuesIn(instruction_cases(TextRouting::kTogether)),
                         [](const auto& row) { return row.param.name; });
INSTANTIATE_TEST_SUITE_P(All, QuestionsByThemselves,
                         testing::ValuesIn(instruction_cases(TextRouting::kByText)),
                         [](const auto& row) { return row.param.name; });

TEST_P(Questions, ArePaddedWithoutChangingABit) {
  auto model = lively_instruction_model(GetParam().options);
  const auto images = images_of(GetParam().options, 5);
  const auto texts = test::small_texts();
  const auto padded = test::more_padding(texts, 3, 17);
  EXPECT_TRUE(test::same_bits(model->embed_questions(images, padded.ids, padded.lengths),
                              model->embed_questions(images, texts.ids, texts.lengths)));
}

TEST_P(Questions, ChangeWhatIsSeenInAnImageAndTheImageWhatIsAsked) {
  auto model = lively_instruction_model(GetParam().options);
  const auto texts = test::small_texts();
  const auto images = images_of(GetParam().options, 5);
  const auto first = model->embed_questions(images, texts.ids, texts.lengths);
  auto ids = texts.ids.clone();
  ids[1][0] = (ids[1][0] + 1) % 29;
  const auto asked = model->embed_questions(images, ids, texts.lengths);
  EXPECT_GT((asked - first).abs()[1].max().item<double>(), 1e-4);
  auto other = images.clone();
  other[1] = -other[1];
  const auto seen = model->embed_questions(other, texts.ids, texts.lengths);
  EXPECT_GT((seen - first).abs()[1].max().item<double>(), 1e-4);
}

TEST_P(QuestionsByThemselves, AreAnsweredAsInABatch) {
  auto model = lively_instruction_model(GetParam().options);
  const auto images = images_of(GetParam().options, 5);
  const auto texts = test::small_texts();
  const auto together = model->embed_questions(images, texts.ids, texts.lengths);
  for (int64_t index = 0; index < 5; ++index) {
    const auto text = test::single_text(texts, index);
    const auto alone = model->embed_questions(images.narrow(0, index, 1), text.ids, text.lengths);
    EXPECT_TRUE(test::all_close(alone, together.narrow(0, index, 1), {.absolute = 2e-6}));
  }
}

TEST(InstructionModel, HasTheGradientsOfFiniteDifferences) {
  auto options = small_instruction_options("soft");
  options.text.dim = 24;
  auto model = lively_instruction_model(options);
  model->to(torch::kFloat64);
  const auto images = images_of(options, 5, torch::kFloat64);
  const auto texts = test::small_texts();
  const auto answers = test::small_texts();
  const auto choices =
      torch::tensor({{0, 1, 2}, {2, 3, -1}, {4, 0, 1}, {1, 2, -1}, {3, 4, 0}}, torch::kInt64);
  const auto loss = [&] {
    return -model
                ->logits(model->embed_questions(images, texts.ids, texts.lengths),
                         model->embed_answers(answers.ids, answers.lengths), choices)
                .log_softmax(1)
                .select(1, 0)
                .sum();
  };
  std::vector<test::NamedLeaf> leaves;
  const auto parameters = model->named_parameters();
  for (const auto* const name :
       {"question_projection.weight", "answer_projection.weight", "text.token_embed", "logit_scale",
        "image.blocks.0.attn.qkv.weight", "image.patch_embed.proj.weight"}) {
    leaves.push_back({name, parameters[name]});
  }
  EXPECT_TRUE(test::gradients_match(loss, leaves, {.tolerance = 1e-5, .coordinates = 4}));
}

TEST(InstructionModel, GivesNoProbabilityToPlacesWithoutAnswer) {
  auto model = lively_instruction_model(small_instruction_options());
  const auto embedded = torch::eye(3, 18);
  const auto logits = model->logits(embedded, embedded,
                                    torch::tensor({{2, 0, -1}, {1, -1, -1}}, torch::kInt64)
                                        .index_select(0, torch::tensor({0, 1, 0}, torch::kInt64)));
  const auto probabilities = logits.softmax(1);
  EXPECT_EQ(probabilities[0][2].item<double>(), 0);
  EXPECT_EQ(probabilities[1][0].item<double>(), 1);
  EXPECT_GT(probabilities[2][0].item<double>(), probabilities[2][1].item<double>());
}

TEST(InstructionOptions, RefuseRoutersThatTakeNoTexts) {
  for (const auto& row : router_rows()) {
    if (row.texts == TextRouting::kNone) {
      const auto options = small_instruction_options(std::string(row.name));
      EXPECT_THAT(test::usage_error([&] { validate(options); }), HasSubstr("router")) << row.name;
    }
  }
}

TEST(ForwardJoined, WantsOneTextPerImage) {
  auto model = lively_instruction_model(small_instruction_options());
  const auto texts = test::small_texts();
  try {
    model->embed_questions(images_of(model->options(), 4), texts.ids, texts.lengths);
    FAIL() << "nothing was thrown";
  } catch (const c10::ValueError& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("4 images"), HasSubstr("5 texts")));
  }
}

}  // namespace
}  // namespace softmoe

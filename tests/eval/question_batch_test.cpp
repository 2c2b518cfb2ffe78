#include "eval/question_batch.h"

#include <gmock/gmock.h>

#include "datasets/tasks/task_file.h"
#include "eval/task_evaluation.h"
#include "support/error_text.h"
#include "support/tensor_matcher.h"
#include "text/byte_tokenizer.h"

namespace softmoe::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TaskQuestion question(const std::string& text, std::vector<std::string> choices, int64_t answer) {
  return {.task = 0, .text = text, .choices = std::move(choices), .answer = answer};
}

TEST(AddQuestions, NumbersEveryAnswerOnceAndMarksPlacesWithoutOne) {
  const ByteTokenizer tokenizer;
  Batch batch;
  add_questions(batch,
                {question("a?", {"yes", "no"}, 0), question("how many?", {"no", "one", "two"}, 1)},
                tokenizer, 40);
  EXPECT_EQ(batch.answer_ids.size(0), 4);
  EXPECT_EQ(batch.token_ids.size(0), 2);
  EXPECT_TRUE(same_bits(batch.choices, torch::tensor({{0, 1, -1}, {1, 2, 3}}, torch::kInt64)));
}

TEST(AddQuestions, TakesRightAnswersOfOtherQuestionsAsFurtherChoices) {
  const ByteTokenizer tokenizer;
  Batch batch;
  add_questions(batch,
                {question("a?", {"yes", "no"}, 0), question("b?", {"red", "blue"}, 1),
                 question("c?", {"yes", "no"}, 1), question("d?", {"left", "right"}, 0)},
                tokenizer, 40, /*open_answers=*/2);
  // The right answers of others: blue and left behind yes and no, ...; never a choice twice.
  EXPECT_EQ(batch.choices.size(1), 4);
  const auto* const cells = batch.choices.const_data_ptr<int64_t>();
  for (int64_t row = 0; row < 4; ++row) {
    std::set<int64_t> numbers;
    for (int64_t place = 0; place < 4; ++place) {
      if (const auto number = cells[row * 4 + place]; number >= 0) {
        EXPECT_TRUE(numbers.insert(number).second);
      }
    }
    EXPECT_GE(numbers.size(), 4U);
  }
}

TEST(CheckAnswers, RefusesAnswersThatDoNotTokenise) {
  const ByteTokenizer tokenizer;
  const TaskSet tasks(parse_tasks("[a]\nkind = \"classification\"\nsource = \"shapes\"\n", "test"),
                      {.train = false, .samples = 10});
  EXPECT_NO_THROW(check_answers(tasks, tokenizer, 40));
  EXPECT_THAT(error_text<InputError>([&] { check_answers(tasks, tokenizer, 5); }),
              AllOf(HasSubstr("task a: answer '"), HasSubstr("at most 5 tokens")));
}

TEST(TaskEvaluation, AveragesTasksByFamilyAndTheTrainedOnesAlone) {
  TaskEvaluation evaluation;
  evaluation.tasks = {
      {.name = "a", .family = "one", .examples = 10, .right = 5, .chance = 0.5},
      {.name = "b", .family = "two", .examples = 10, .right = 9, .chance = 0.25},
      {.name = "c", .family = "one", .held_out = true, .examples = 10, .right = 1, .chance = 0.5}};
  EXPECT_NEAR(evaluation.mean(false).accuracy, 0.7, 1e-12);
  EXPECT_NEAR(evaluation.mean(true).accuracy, 0.1, 1e-12);
  ASSERT_EQ(evaluation.families().size(), 2U);
  EXPECT_NEAR(evaluation.families()[0].accuracy, 0.3, 1e-12);
  EXPECT_NEAR(evaluation.result().top1, 0.7, 1e-12);
  EXPECT_EQ(evaluation.result().examples, 20);
  EXPECT_EQ(means_text(evaluation),
            "trained 70.00 % of 2 tasks (chance 37.50 %), held out 10.00 % of 1 task "
            "(chance 50.00 %)");
}

}  // namespace
}  // namespace softmoe::test

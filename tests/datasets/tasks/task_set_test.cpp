#include "datasets/tasks/task_set.h"

#include <gmock/gmock.h>

#include <map>
#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>

#include "datasets/tasks/task_draws.h"
#include "datasets/tasks/task_file.h"
#include "datasets/tasks/task_library.h"
#include "support/error_text.h"
#include "support/temporary_folder.h"

namespace softmoe::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

/// The questions of one task that `keys` describe.
TaskSet one_task(const std::string& keys, int64_t samples = 100) {
  return {parse_tasks("[task]\nsource = \"shapes\"\n" + keys, "test"),
          {.train = false, .samples = samples, .side = 96}};
}

const std::string& right_answer(const TaskQuestion& question) {
  return question.choices[static_cast<size_t>(question.answer)];
}

/// Pixels that differ from the colour of the corner, 1 where they do.
cv::Mat painted(const cv::Mat& picture) {
  cv::Mat difference;
  cv::absdiff(picture, cv::Scalar(picture.at<cv::Vec3b>(0, 0)), difference);
  cv::Mat gray;
  cv::cvtColor(difference, gray, cv::COLOR_RGB2GRAY);
  return gray > 12;
}

TEST(TaskSet, CountsWhatThePictureShows) {
  const std::vector<std::string> numbers{"zero", "one", "two", "three", "four", "five", "six"};
  const auto set = one_task("kind = \"counting\"\nask = \"How many?\"\n");
  for (int64_t index = 0; index < set.size(); ++index) {
    cv::Mat labels;
    // Shapes stand in cells of their own; the first label is the background, and the hole of a ring
    // belongs to it.
    const int parts = cv::connectedComponents(painted(set.get(index).image), labels) - 1;
    EXPECT_EQ(right_answer(set.question(index)), numbers[static_cast<size_t>(parts)]) << index;
  }
}

TEST(TaskSet, NamesTheSideWithMoreShapes) {
  const auto set = one_task("kind = \"more\"\nask = \"Which side has more?\"\n");
  for (int64_t index = 0; index < set.size(); ++index) {
    const auto picture = set.get(index).image;
    const auto parts = [&](int begin) {
      // Without the line in the middle.
      const cv::Mat half = painted(picture)(cv::Rect(begin, 0, 46, 96));
      cv::Mat labels;
      return cv::connectedComponents(half, labels) - 1;
    };
    const auto expected = parts(0) > parts(50) ? "left" : "right";
    EXPECT_EQ(right_answer(set.question(index)), expected) << index;
  }
}

TEST(TaskSet, AsksForTheColourThatThePictureHas) {
  const auto set = one_task("kind = \"classification\"\nattribute = \"colour\"\n");
  for (int64_t index = 0; index < set.size(); ++index) {
    const auto picture = set.get(index).image;
    const auto mean = cv::mean(picture, painted(picture));
    const auto answer = right_answer(set.question(index));
    EXPECT_EQ(answer == "green", mean[1] > mean[0] + 40 && mean[1] > mean[2] + 40) << index;
    EXPECT_EQ(answer == "blue", mean[2] > mean[0] + 60 && mean[2] > mean[1] + 60) << index;
  }
}

TEST(TaskSet, QuestionsAreDeterminedByTheirPlaces) {
  const auto tasks = task_set_of("shapes");
  const TaskSetOptions options{.train = true, .samples = 50, .side = 32, .seed = 3};
  const TaskSet first(tasks, options);
  const TaskSet again(tasks, options);
  auto other_seed = options;
  other_seed.seed = 4;
  const TaskSet other(tasks, other_seed);
  int64_t equal_in_next_epoch = 0;
  int64_t equal_with_other_seed = 0;
  for (int64_t index = 0; index < 50; ++index) {
    const auto question = first.question(index);
    EXPECT_EQ(question.text, again.question(index).text);
    EXPECT_EQ(cv::norm(first.get(index).image, again.get(index).image), 0);
    EXPECT_EQ(first.get(index).label, question.answer);
    equal_in_next_epoch += question.text == first.question(index + 50).text ? 1 : 0;
    equal_with_other_seed += question.text == other.question(index).text ? 1 : 0;
  }
  EXPECT_LT(equal_in_next_epoch, 15);
  EXPECT_LT(equal_with_other_seed, 15);
}

TEST(TaskSet, ValidationOfATaskDoesNotDependOnTheOthers) {
  const auto tasks = task_set_of("shapes");
  const TaskSetOptions options{.train = false, .samples = 3, .side = 32};
  const TaskSet all(tasks, options);
  const TaskSet last({tasks.back()}, options);
  for (int64_t number = 0; number < 3; ++number) {
    const auto index = all.size() - 3 + number;
    EXPECT_EQ(all.question(index).text, last.question(number).text);
    EXPECT_EQ(cv::norm(all.get(index).image, last.get(number).image), 0);
  }
}

class TaskSets : public testing::TestWithParam<std::string> {};

INSTANTIATE_TEST_SUITE_P(All, TaskSets, testing::Values("shapes", "digits"),
                         [](const auto& row) { return row.param; });

TEST_P(TaskSets, EveryTaskAsksWholeSentencesWithAnswersInBalance) {
  constexpr int64_t kQuestions = 300;
  const TaskSet set(task_set_of(GetParam()), {.train = false, .samples = kQuestions, .side = 32});
  for (int64_t task = 0; task < set.tasks(); ++task) {
    const auto& name = set.task(task).name;
    std::map<std::string, int64_t> given;
    double chance = 0;
    for (int64_t number = 0; number < kQuestions; ++number) {
      const auto question = set.question(task * kQuestions + number);
      EXPECT_EQ(question.task, task);
      EXPECT_EQ(question.text.find_first_of("{}"), std::string::npos) << question.text;
      const std::set<std::string> different(question.choices.begin(), question.choices.end());
      EXPECT_EQ(different.size(), question.choices.size()) << name;
      EXPECT_GE(question.choices.size(), 2U) << name;
      ++given[right_answer(question)];
      chance += 1.0 / static_cast<double>(question.choices.size()) / kQuestions;
    }
    int64_t most = 0;
    for (const auto& [answer, count] : given) {
      most = std::max(most, count);
    }
    // The best constant answer is hardly better than chance.
    EXPECT_LT(static_cast<double>(most) / kQuestions, chance + 0.12) << name;
  }
}

TEST(TaskSet, SaysWhatATaskLacks) {
  const auto error = [](const std::string& keys) {
    return error_text<InputError>(
        [&] { TaskSet(parse_tasks("[task]\n" + keys, "test"), {.train = false, .samples = 1}); });
  };
  EXPECT_THAT(
      error("kind = \"counting\"\nsource = \"shapes\"\nattribute = \"taste\"\n"),
      AllOf(HasSubstr("task task"), HasSubstr("shape, colour, size"), HasSubstr("'taste'")));
  EXPECT_THAT(error("kind = \"matching\"\nsource = \"digits\"\n"),
              AllOf(HasSubstr("captions"), HasSubstr("none")));
  EXPECT_THAT(error("kind = \"attribute_of\"\nsource = \"digits\"\n"), HasSubstr("by"));
  EXPECT_THAT(error("kind = \"yes_no\"\nsource = \"digits\"\nwords = [\"a\", \"b\"]\n"),
              AllOf(HasSubstr("10 words"), HasSubstr("found 2")));
  const TemporaryFolder empty;
  EXPECT_THAT(error("kind = \"yes_no\"\nsource = \"folder\"\ndata-dir = \"" +
                    empty.path().string() + "\"\n"),
              HasSubstr("task task"));
}

TEST(PluralWord, FollowsTheRulesOfEnglish) {
  EXPECT_EQ(plural_word("circle"), "circles");
  EXPECT_EQ(plural_word("cross"), "crosses");
  EXPECT_EQ(plural_word("box"), "boxes");
  EXPECT_EQ(plural_word("cherry"), "cherries");
  EXPECT_EQ(plural_word("day"), "days");
}

TEST(MixtureRates, FollowTemperatureAndCap) {
  const std::vector<MixturePart> parts{
      {.examples = 100}, {.examples = 400}, {.examples = -1}, {.examples = 400, .weight = 0}};
  using testing::DoubleNear;
  using testing::ElementsAre;
  const auto near = [](double value) { return DoubleNear(value, 1e-12); };
  EXPECT_THAT(mixture_rates(parts, {.temperature = 1, .cap = 500}),
              ElementsAre(near(0.1), near(0.4), near(0.5), near(0)));
  EXPECT_THAT(mixture_rates(parts, {.temperature = 2, .cap = 400}),
              ElementsAre(near(0.2), near(0.4), near(0.4), near(0)));
  EXPECT_THAT(mixture_rates(parts, {.temperature = 1, .cap = 100}),
              ElementsAre(near(1.0 / 3), near(1.0 / 3), near(1.0 / 3), near(0)));
  Rng rng(1);
  std::array<int64_t, 4> drawn{};
  const auto rates = mixture_rates(parts, {.temperature = 1, .cap = 500});
  for (int64_t turn = 0; turn < 10'000; ++turn) {
    ++drawn[static_cast<size_t>(draw_part(rates, rng))];
  }
  EXPECT_NEAR(static_cast<double>(drawn[0]), 1000, 150);
  EXPECT_NEAR(static_cast<double>(drawn[1]), 4000, 200);
  EXPECT_EQ(drawn[3], 0);
}

}  // namespace
}  // namespace softmoe::test

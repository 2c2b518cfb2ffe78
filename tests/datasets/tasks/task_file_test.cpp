#include "datasets/tasks/task_file.h"

#include <gmock/gmock.h>

#include <set>

#include "datasets/tasks/task_kinds.h"
#include "datasets/tasks/task_library.h"
#include "support/error_text.h"

namespace softmoe::test {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

std::string error_of(const std::string& text) {
  return error_text<InputError>([&] { parse_tasks(text, "my.toml"); });
}

TEST(TaskFile, MakesATaskOfAFewLines) {
  const auto tasks = parse_tasks(R"(
[bird]
kind = "classification"
source = "folder"
data-dir = "birds"
ask = "Which bird is this?"
words = ["a crow", "an owl"]

[how_many]
kind = "counting"
family = "numbers"
source = "shapes"
attribute = "colour"
)",
                                 "my.toml");
  ASSERT_EQ(tasks.size(), 2U);
  EXPECT_EQ(tasks[0].name, "bird");
  EXPECT_EQ(tasks[0].data.data_dir, "birds");
  EXPECT_THAT(tasks[0].ask, ElementsAre("Which bird is this?"));
  EXPECT_THAT(tasks[0].words, ElementsAre("a crow", "an owl"));
  EXPECT_EQ(tasks[0].family_name(), "classification");
  EXPECT_EQ(tasks[1].family_name(), "numbers");
}

TEST(TaskFile, NamesTheLineOfEveryMistake) {
  const std::string head = "[bird]\nkind = \"yes_no\"\nsource = \"shapes\"\n";
  EXPECT_THAT(error_of(head + "max-item = 3\n"),
              AllOf(HasSubstr("my.toml: line 4: bird"), HasSubstr("'max-item'"),
                    HasSubstr("did you mean max-items?")));
  EXPECT_THAT(error_of(head + "max-items = 100\n"),
              AllOf(HasSubstr("my.toml: line 4: bird"), HasSubstr("max-items"), HasSubstr("9")));
  EXPECT_THAT(error_of("[bird]\nkind = \"guessing\"\n"),
              AllOf(HasSubstr("my.toml: line 2: bird"), HasSubstr("counting")));
  EXPECT_THAT(error_of(head + "ask = \"Is it so?\"\n"),
              AllOf(HasSubstr("line 1: bird"), HasSubstr("{value}"), HasSubstr("Is it so?")));
  EXPECT_THAT(error_of(head + "ask = [\"Is it {value} or {choices}?\"]\n"),
              AllOf(HasSubstr("line 1: bird"), HasSubstr("'{choices}'")));
  EXPECT_THAT(error_of(head + "ask = \"Is it {value?\"\n"), HasSubstr("'}' behind each '{'"));
  EXPECT_THAT(error_of("[a]\nkind = \"counting\"\nsource = \"shapes\"\nask = [\"How many?\", "
                       "\"How many {values}?\"]\n"),
              HasSubstr("in all wordings, or in none"));
  EXPECT_THAT(error_of("[bird]\nkind = \"yes_no\"\n"),
              AllOf(HasSubstr("line 1: bird"), HasSubstr("source")));
  EXPECT_THAT(error_of(head + "words = [\"a\", \"a\"]\n"), HasSubstr("'a' twice"));
  EXPECT_THAT(error_of(head + "dataset = \"digits\"\n"), HasSubstr("no key 'dataset'"));
  EXPECT_THAT(error_of("title = 3\n"), AllOf(HasSubstr("line 1"), HasSubstr("table of a task")));
  EXPECT_THAT(error_of("[bird\n"), HasSubstr("my.toml: line 1"));
  EXPECT_THAT(error_of("# nothing\n"), AllOf(HasSubstr("my.toml"), HasSubstr("none")));
}

TEST(TaskFile, TasksGoThroughMetadataUnchanged) {
  for (const auto& row : task_sets()) {
    for (const auto& task : task_set_of(std::string(row.name))) {
      EXPECT_EQ(task_from_json(to_json(task), "x.h5"), task) << task.name;
    }
  }
}

TEST(TaskLibrary, HasFortyTasksOfMachinesWithoutPackagesAndAllKinds) {
  std::set<std::string> names;
  std::set<std::string> kinds;
  int64_t everywhere = 0;
  for (const auto& row : task_sets()) {
    for (const auto& task : task_set_of(std::string(row.name))) {
      EXPECT_TRUE(names.insert(task.name).second) << task.name;
      EXPECT_GE(task.ask.size(), 2U) << task.name;
      EXPECT_FALSE(task.family.empty()) << task.name;
      kinds.insert(task.kind);
      everywhere += row.folder.empty() ? 1 : 0;
    }
  }
  EXPECT_GE(everywhere, 40);
  EXPECT_EQ(std::ssize(kinds), std::ssize(task_kinds()));
}

TEST(ReadTasks, RefusesTwoTasksOfOneName) {
  EXPECT_THAT(error_text<InputError>([] {
                read_tasks({"digits", "digits"});
              }),
              HasSubstr("'digit_name' twice"));
}

}  // namespace
}  // namespace softmoe::test

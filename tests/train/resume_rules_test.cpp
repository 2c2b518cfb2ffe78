#include "train/resume_rules.h"

#include <gmock/gmock.h>

#include "core/error.h"

namespace softmoe {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

Json some_options() {
  return {{"lr", 0.001},       {"epochs", 10.0},          {"max-steps", 0},
          {"workers", 2},      {"moe-blocks", "1,2"},     {"bias", true},
          {"experiment", "a"}, {"checkpoint", "in/a.h5"}, {"betas", {0.9, 0.99}}};
}

Json with(const std::string& name, const Json& value) {
  auto options = some_options();
  options[name] = value;
  return options;
}

TEST(ResumeRules, AllowWhatNoResultDependsOn) {
  const Json changes{{"workers", 0}, {"experiment", "b"}, {"checkpoint", "./in//x/../a.h5"}};
  for (const auto& [name, value] : changes.items()) {
    EXPECT_NO_THROW(check_resumed_options(some_options(), with(name, value), "runs/a")) << name;
  }
}

TEST(ResumeRules, RunsMayBecomeLonger) {
  EXPECT_NO_THROW(check_resumed_options(some_options(), with("epochs", 12.0), "runs/a"));
  EXPECT_NO_THROW(check_resumed_options(with("max-steps", 5), with("max-steps", 9), "runs/a"));
  EXPECT_NO_THROW(check_resumed_options(with("max-steps", 5), with("max-steps", 0), "runs/a"));
  EXPECT_THAT([] { check_resumed_options(some_options(), with("epochs", 8.0), "runs/a"); },
              ThrowsMessage<UsageError>(
                  AllOf(HasSubstr("--epochs 10.0 resumes it"), HasSubstr("only become longer"))));
  EXPECT_THROW(check_resumed_options(some_options(), with("max-steps", 3), "runs/a"), UsageError);
}

TEST(ResumeRules, ErrorsNameTheFlagThatResumes) {
  const auto refused = [](const std::string& name, const Json& now) {
    try {
      check_resumed_options(some_options(), with(name, now), "runs/a");
    } catch (const UsageError& error) {
      return std::string(error.what());
    }
    return std::string("nothing was thrown");
  };
  EXPECT_EQ(refused("lr", 0.5),
            "--lr: the run in runs/a has 0.001, now it is 0.5; --lr 0.001 resumes it, another "
            "--experiment begins another run");
  EXPECT_THAT(refused("bias", false), HasSubstr("; --bias resumes it"));
  EXPECT_THAT(refused("betas", {0.9, 0.999}), HasSubstr("; --betas 0.9 0.99 resumes it"));
  EXPECT_THAT(refused("checkpoint", "in/b.h5"), HasSubstr("; --checkpoint in/a.h5 resumes it"));
}

}  // namespace
}  // namespace softmoe

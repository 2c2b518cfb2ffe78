#include "core/log.h"

#include <gmock/gmock.h>

namespace softmoe {
namespace {

TEST(Log, SendsLinesToTheSinkOfTheProgram) {
  std::vector<std::string> lines;
  const auto previous = set_log_sink([&](const std::string& line) { lines.push_back(line); });
  log_line("one");
  set_log_sink(previous);
  log_line("two");
  EXPECT_THAT(lines, testing::ElementsAre("one"));
}

}  // namespace
}  // namespace softmoe

#include "sweep/child_process.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <thread>

#include "core/error.h"
#include "support/temporary_folder.h"

namespace softmoe {
namespace {

using test::TemporaryFolder;
using testing::HasSubstr;

/// Tests that children run: the child of a test program is the test program.
std::vector<std::string> arguments_for(const std::string& test) {
  return {"--gtest_filter=ChildOfTheTests.DISABLED_" + test, "--gtest_also_run_disabled_tests"};
}

TEST(ChildOfTheTests, DISABLED_ExitsWithThree) {
  std::cout << "bye" << std::endl;
  std::_Exit(3);
}

TEST(ChildOfTheTests, DISABLED_WaitsToBeInterrupted) {
  std::cout << "waiting" << std::endl;
  std::this_thread::sleep_for(std::chrono::seconds(60));
}

std::string text_of(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

/// Waits until the child has printed `text`.
void wait_for_text(const std::filesystem::path& log, const std::string& text) {
  for (int tries = 0; tries < 3000 && text_of(log).find(text) == std::string::npos; ++tries) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

TEST(ChildProcess, AppendsItsOutputToTheLogAndGivesItsCode) {
  const TemporaryFolder folder;
  const auto log = folder / "run.log";
  std::ofstream(log) << "before\n";
  const ChildProcess child(arguments_for("ExitsWithThree"), log);
  const auto end = wait_for_child();
  EXPECT_EQ(end.id, child.id());
  EXPECT_EQ(end.code, 3);
  EXPECT_THAT(text_of(log), testing::StartsWith("before\n"));
  EXPECT_EQ(last_line(log), "bye");
}

TEST(ChildProcess, MakesTheFolderOfItsLog) {
  const TemporaryFolder folder;
  const auto log = folder / "a" / "b" / "run.log";
  const ChildProcess child({"--gtest_list_tests"}, log);
  EXPECT_EQ(wait_for_child().code, 0);
  EXPECT_THAT(text_of(log), HasSubstr("ChildProcess."));
}

TEST(ChildProcess, IsInterruptedInAGroupOfItsOwn) {
  const TemporaryFolder folder;
  const auto log = folder / "run.log";
  const ChildProcess child(arguments_for("WaitsToBeInterrupted"), log);
  wait_for_text(log, "waiting");
  EXPECT_EQ(::getpgid(child.id()), child.id()) << "else Ctrl-C would reach it twice";
  child.interrupt();
  const auto end = wait_for_child();
  EXPECT_EQ(end.id, child.id());
  EXPECT_EQ(end.code, 128 + SIGINT);
}

TEST(ChildProcess, SeveralEndInTheirOwnOrder) {
  const TemporaryFolder folder;
  const ChildProcess slow(arguments_for("WaitsToBeInterrupted"), folder / "slow.log");
  const ChildProcess quick(arguments_for("ExitsWithThree"), folder / "quick.log");
  EXPECT_EQ(wait_for_child().id, quick.id());
  slow.interrupt();
  EXPECT_EQ(wait_for_child().id, slow.id());
}

TEST(ChildProcess, SaysWhichLogCannotBeWritten) {
  const TemporaryFolder folder;
  try {
    const ChildProcess child({}, folder.path());
    FAIL() << "a folder is no log";
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), HasSubstr(folder.path().string()));
  }
}

TEST(ChildProcess, ThereIsNoneToWaitForWithoutChildren) { EXPECT_EQ(wait_for_child().id, -1); }

TEST(ChildProcess, LastLineIsTheLastOneWithText) {
  const TemporaryFolder folder;
  const auto log = folder / "run.log";
  EXPECT_EQ(last_line(log), "");
  std::ofstream(log) << "first\nlast\n\n\n";
  EXPECT_EQ(last_line(log), "last");
}

}  // namespace
}  // namespace softmoe

#include "sweep/child_process.h"

#include <gmock/gmock.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <sstream>
#include <thread>

#include "core/error.h"
#include "core/interrupt_guard.h"
#include "io/atomic_file.h"
#include "support/error_text.h"
#include "support/temporary_folder.h"

namespace softmoe {
namespace {

using testing::HasSubstr;

class ChildProcessTest : public testing::Test {
 protected:
  /// Starts a shell command, whose output goes to log().
  ChildProcess start(const std::string& command) const {
    return {{"/bin/sh", "-c", command}, log()};
  }
  /// The exit code of a shell command.
  int code_of(const std::string& command) const {
    const auto child = start(command);
    const auto end = wait_for_child();
    EXPECT_EQ(end.id, child.id());
    return end.code;
  }
  std::filesystem::path log() const { return folder_ / "logs" / "child.log"; }
  std::string log_text() const { return read_text_file(log()); }

  /// Waits until the log holds `text`.
  void wait_for(const std::string& text) const {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!std::filesystem::exists(log()) || log_text().find(text) == std::string::npos) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "no '" << text << "' in the log";
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }

  test::TemporaryFolder folder_;
};

TEST_F(ChildProcessTest, AppendsBothOutputsToTheLog) {
  EXPECT_EQ(code_of("echo one; echo two >&2"), 0);
  EXPECT_EQ(code_of("echo three"), 0);
  EXPECT_EQ(log_text(), "one\ntwo\nthree\n");
}

TEST_F(ChildProcessTest, PassesArgumentsUnchanged) {
  const ChildProcess child({"/bin/sh", "-c", "printf '[%s]' \"$@\"", "sh", "a b", "", "*", "--x=1"},
                           log());
  EXPECT_EQ(wait_for_child().id, child.id());
  EXPECT_EQ(log_text(), "[a b][][*][--x=1]");
}

TEST_F(ChildProcessTest, ReportsExitCodesAndSignals) {
  EXPECT_EQ(code_of("exit 0"), 0);
  EXPECT_EQ(code_of("exit 3"), 3);
  EXPECT_EQ(code_of("kill -TERM $$"), 128 + SIGTERM);
  const ChildProcess missing({(folder_ / "no_program").string()}, log());
  EXPECT_EQ(wait_for_child().code, 127);
}

TEST_F(ChildProcessTest, RunsInTheWorkingFolderAndAProcessGroupOfItsOwn) {
  EXPECT_EQ(code_of("pwd -P; ps -o pgid= -p $$ | tr -d ' '; echo $$"), 0);
  const auto text = log_text();
  EXPECT_THAT(text, testing::StartsWith(std::filesystem::current_path().string() + "\n"));
  std::istringstream lines(text);
  std::string folder;
  std::string group;
  std::string id;
  std::getline(lines, folder);
  std::getline(lines, group);
  std::getline(lines, id);
  EXPECT_EQ(group, id);
}

TEST_F(ChildProcessTest, CanBeThisProgram) {
  const ChildProcess child({kThisProgram, "--gtest_list_tests"}, log());
  EXPECT_EQ(wait_for_child().code, 0);
  EXPECT_THAT(log_text(), HasSubstr("ChildProcessTest."));
}

TEST_F(ChildProcessTest, AnInterruptLetsItSaveAndStop) {
  const auto child =
      start("trap 'echo saved; exit 130' INT; echo ready; while :; do sleep 0.01; done");
  wait_for("ready");
  child.interrupt();
  EXPECT_EQ(wait_for_child().code, 130);
  EXPECT_THAT(log_text(), HasSubstr("saved"));
}

TEST_F(ChildProcessTest, SeveralEndInTheOrderInWhichTheyFinish) {
  const auto slow = start("while [ ! -e " + (folder_ / "go").string() + " ]; do sleep 0.01; done");
  const auto quick = start("exit 4");
  EXPECT_EQ(wait_for_child().id, quick.id());
  write_text_file(folder_ / "go", "");
  EXPECT_EQ(wait_for_child().id, slow.id());
  EXPECT_EQ(wait_for_child().id, -1);  // none is left
}

TEST_F(ChildProcessTest, AnInterruptOfTheParentEndsTheWait) {
  const InterruptGuard guard;
  const auto child = start("while [ ! -e " + (folder_ / "go").string() + " ]; do sleep 0.01; done");
  std::thread killer([] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    ::kill(::getpid(), SIGINT);
  });
  EXPECT_EQ(wait_for_child(interrupt_requested).id, -1);
  killer.join();
  write_text_file(folder_ / "go", "");
  EXPECT_EQ(wait_for_child().id, child.id());
}

TEST_F(ChildProcessTest, NamesALogThatCannotBeWritten) {
  std::filesystem::create_directories(log());
  EXPECT_THAT(test::input_error([&] { start("exit 0"); }),
              testing::AllOf(HasSubstr(log().string()), HasSubstr("Is a directory")));
}

TEST(LastLine, SkipsEmptyLines) {
  const test::TemporaryFolder folder;
  write_text_file(folder / "a.log", "first\nlast\n\n");
  EXPECT_EQ(last_line(folder / "a.log"), "last");
  EXPECT_EQ(last_line(folder / "none.log"), "");
}

}  // namespace
}  // namespace softmoe

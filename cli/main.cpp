#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <new>
#include <string>
#include <vector>

#include "cli/commands.h"
#include "core/error.h"
#include "core/log.h"
#include "core/progress.h"
#include "core/registry.h"
#include "core/version.h"
#include "parallel/world_environment.h"

namespace {

void print_help() {
  fmt::print("softmoe {}: vision transformers with Mixture-of-Experts layers\n\n",
             softmoe::kVersion);
  fmt::print("usage: softmoe COMMAND [OPTIONS]\n\n");
  for (const auto& row : softmoe::cli::command_rows()) {
    fmt::print("  {:<11}{}\n", row.name, row.summary);
  }
  fmt::print("\nsoftmoe COMMAND --help explains the options of a command.\n");
}

/// The rank of this process in a run of several processes; only rank 0 shows what it does. Throws
/// UsageError for a command that is not meant for several processes.
int64_t rank_of_process(const softmoe::cli::CommandRow& row) {
  softmoe::WorldEnvironment world;
  try {
    world = softmoe::read_world_environment();
  } catch (const softmoe::UsageError&) {
    if (row.is_parallel) {
      throw;
    }
  }
  if (!row.is_parallel && !world.is_alone() && row.run != softmoe::cli::run_launch) {
    throw softmoe::UsageError(fmt::format("softmoe {}", row.name), "one process",
                              fmt::format("rank {} of {}", world.rank, world.size));
  }
  if (world.rank > 0) {
    softmoe::set_log_sink([](const std::string& /*line*/) {});
    softmoe::set_progress_style(softmoe::ProgressStyle::kNone);
  }
  return world.rank;
}

int run(const std::vector<std::string>& arguments, int64_t& rank) {
  if (arguments.empty() || arguments.front() == "--help" || arguments.front() == "-h" ||
      arguments.front() == "help") {
    print_help();
    return arguments.empty() ? 2 : 0;
  }
  if (arguments.front() == "--version") {
    fmt::print("softmoe {}\n", softmoe::kVersion);
    return 0;
  }
  const auto& row = softmoe::find_row(softmoe::cli::command_rows(), arguments.front(), "command");
  rank = rank_of_process(row);
  row.run({arguments.begin() + 1, arguments.end()});
  if (std::fflush(stdout) != 0) {
    throw softmoe::InputError("cannot write the result to standard output");
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  softmoe::set_log_sink(
      [](const std::string& line) { fmt::print(stderr, "{}\n", softmoe::terminal_text(line)); });
  softmoe::set_progress_style(softmoe::default_progress_style());
  int64_t rank = 0;
  const auto fail = [&rank](const char* message, int code) {
    fmt::print(stderr, "softmoe: {}{}\n", rank > 0 ? fmt::format("rank {}: ", rank) : "",
               softmoe::terminal_text(softmoe::single_line(message)));
    return code;
  };
  try {
    return run({argv + 1, argv + argc}, rank);
  } catch (const softmoe::Interrupted& error) {
    return fail(error.what(), 130);
  } catch (const softmoe::UsageError& error) {
    return fail(error.what(), 2);
  } catch (const std::filesystem::filesystem_error& error) {
    const auto reason = softmoe::system_error_text(error.code().value());
    return fail(
        fmt::format("cannot use {}: {}", softmoe::printable_text(error.path1().string()), reason)
            .c_str(),
        1);
  } catch (const std::bad_alloc&) {
    return fail("out of memory", 1);
  } catch (const std::exception& error) {
    return fail(error.what(), 1);
  }
}

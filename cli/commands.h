#pragma once
/// The subcommands of the program: each has one row and one source file.

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace softmoe::cli {

struct CommandRow {
  std::string_view name;
  std::string_view summary;
  /// Runs the command with the arguments that follow its name. Errors are exceptions.
  void (*run)(const std::vector<std::string>& arguments);
  bool is_parallel = false;  ///< several processes can do it together
};

/// All commands, in the order of `softmoe --help`.
std::span<const CommandRow> command_rows();

void run_train(const std::vector<std::string>& arguments);
void run_finetune(const std::vector<std::string>& arguments);
void run_launch(const std::vector<std::string>& arguments);
void run_distill(const std::vector<std::string>& arguments);
void run_tune(const std::vector<std::string>& arguments);
void run_upcycle(const std::vector<std::string>& arguments);
void run_prune(const std::vector<std::string>& arguments);
void run_average(const std::vector<std::string>& arguments);
void run_convert(const std::vector<std::string>& arguments);
void run_eval(const std::vector<std::string>& arguments);
void run_fewshot(const std::vector<std::string>& arguments);
void run_knn(const std::vector<std::string>& arguments);
void run_probe(const std::vector<std::string>& arguments);
void run_zeroshot(const std::vector<std::string>& arguments);
void run_predict(const std::vector<std::string>& arguments);
void run_export(const std::vector<std::string>& arguments);
void run_inspect(const std::vector<std::string>& arguments);
void run_benchmark(const std::vector<std::string>& arguments);
void run_models(const std::vector<std::string>& arguments);
void run_data(const std::vector<std::string>& arguments);
void run_tokenizer(const std::vector<std::string>& arguments);
void run_sweep(const std::vector<std::string>& arguments);
void run_report(const std::vector<std::string>& arguments);

}  // namespace softmoe::cli

#include "cli/other_flags.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

namespace softmoe::cli {

std::string advice_on_other_flag(const std::string& argument) {
  constexpr std::string_view kResume =
      "a run goes on if it is started again with the same --output and --experiment";
  constexpr std::string_view kStart = "softmoe finetune CHECKPOINT starts from weights";
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 9> kAdvice{
      {{"--resume", kResume},
       {"--auto-resume", kResume},
       {"--pretrained", kStart},
       {"--initial-checkpoint", kStart},
       {"--pretrained-path", kStart},
       {"--amp", "--amp-dtype bfloat16 is its name here, and auto the default"},
       {"--val-dir", "--val-split names the part of --data-dir for evaluation"},
       {"--lr-base", "--lr is its name here"},
       {"--torchcompile", "kernels are fused without it"}}};
  const auto name = argument.substr(0, argument.find('='));
  const auto* const found = std::find_if(kAdvice.begin(), kAdvice.end(),
                                         [&name](const auto& row) { return row.first == name; });
  return found == kAdvice.end() ? "" : std::string(found->second);
}

}  // namespace softmoe::cli

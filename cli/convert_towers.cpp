#include "cli/convert_towers.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "checkpoints/image_text_checkpoint.h"
#include "cli/print_line.h"
#include "core/error.h"

namespace softmoe::cli {
namespace {

/// Flags of `softmoe convert` that go with both towers.
constexpr std::array<std::string_view, 8> kOfBothTowers{
    "checkpoint", "output", "format", "names", "towers", "json", "threads", "device"};

void refuse_other_flags(const CommandLine& line) {
  for (const auto& name : line.given_names()) {
    if (std::find(kOfBothTowers.begin(), kOfBothTowers.end(), name) == kOfBothTowers.end()) {
      throw UsageError("--" + name, "only with --towers image", "it with --towers both");
    }
  }
}

std::string towers_text(const ImageTextDescription& description, const NamedTensors& weights) {
  const auto& options = description.options;
  int64_t parameters = 0;
  for (const auto& [name, tensor] : weights) {
    parameters += tensor.numel();
  }
  return fmt::format(
      "{}: {:.2f} M parameters; images of {}x{} px, width {}, {} blocks; texts of {} tokens of {}, "
      "width {}, {} blocks; embeddings of width {}",
      description.name, static_cast<double>(parameters) / 1e6, options.image.image_height(),
      options.image.image_width(), options.image.dim, options.image.depth, options.text.context,
      options.text.vocab_size, options.text.dim, options.text.depth, options.embedding_dim());
}

}  // namespace

void convert_towers(const TowersConversion& conversion, const CommandLine& line) {
  refuse_other_flags(line);
  const auto model = load_image_text_weights(conversion.checkpoint);
  std::string family;
  const auto write = [&] {
    family = write_image_text(conversion.output, conversion.format, conversion.names, model);
    std::string before = conversion.checkpoint + ": ";
    for (const auto& text : model.lines) {
      print_line("{}{}", before, text);
      before = "  ";
    }
    print_line("{}: {}, names of {}", conversion.output, format_row(conversion.format).title,
               family);
    print_line("  {}", towers_text(model.description, model.weights));
  };
  line.write_json({{"input", conversion.checkpoint},
                   {"output", conversion.output},
                   {"output_format", format_row(conversion.format).title},
                   {"names", conversion.names},
                   {"model_name", model.description.name},
                   {"model", options_to_json(model.description.options)}},
                  write);
}

}  // namespace softmoe::cli

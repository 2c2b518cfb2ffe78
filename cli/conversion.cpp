#include "cli/conversion.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <sstream>

#include "checkpoints/convert/check_weights.h"
#include "core/error.h"
#include "core/pluralize.h"
#include "io/atomic_file.h"

namespace softmoe::cli {
namespace {

std::vector<std::string> read_class_names(const std::string& path, int64_t num_classes) {
  std::istringstream lines(read_text_file(path));
  std::vector<std::string> names;
  for (std::string line; std::getline(lines, line);) {
    if (!line.empty() && line.back() == '\r') {
      line.pop_back();
    }
    if (!line.empty()) {
      names.push_back(line);
    }
  }
  if (std::ssize(names) != num_classes) {
    throw InputError(path, pluralize(num_classes, "name of a class", "names of classes"),
                     std::to_string(names.size()));
  }
  return names;
}

/// The parts that adapt_weights() changes are those of the file, all others as the user says.
VitOptions source_options(const VitOptions& file, const VitOptions& to) {
  auto from = to;
  from.img_size = file.img_size;
  from.patch_size = file.patch_size;
  from.in_chans = file.in_chans;
  from.num_classes = file.num_classes;
  from.class_token = file.class_token;
  from.dist_token = file.dist_token;
  if (file.dist_token && !to.dist_token) {
    from.global_pool = file.global_pool;  // the only one that goes with it
    from.pool_include_prefix = false;
  }
  from.reg_tokens = file.reg_tokens;
  from.pos_embed_prefix = file.pos_embed_prefix;
  return from;
}

/// Tensors that another choice of pooling or norm calls otherwise, or does not need.
void follow_choices(ForeignModel& model, const VitOptions& to) {
  const auto& from = model.description.options;
  if (from.final_norm != to.final_norm) {
    const bool pooled = to.final_norm == FinalNorm::kPooled;
    for (const std::string leaf : {"weight", "bias"}) {
      auto node = model.weights.extract((pooled ? "norm." : "fc_norm.") + leaf);
      if (!node.empty()) {
        node.key() = (pooled ? "fc_norm." : "norm.") + leaf;
        model.weights.insert(std::move(node));
      }
    }
  }
  if (from.global_pool == GlobalPool::kMap && to.global_pool != GlobalPool::kMap) {
    std::erase_if(model.weights, [&](const auto& item) {
      const bool dropped = item.first.starts_with("attn_pool.");
      if (dropped) {
        model.left_out.push_back(item.first);
      }
      return dropped;
    });
  }
}

/// Throws where the user gave what a model of these options cannot take.
void check_given(const CommandLine& line, const PreprocessOptions& preprocess,
                 const VitOptions& options) {
  const auto size = input_size(options);
  if (line.given("input-size") && preprocess.input_size != size) {
    throw UsageError(
        "--input-size",
        fmt::format("{}, as follows from --in-chans and --img-size", fmt::join(size, " ")),
        fmt::format("{}", fmt::join(preprocess.input_size, " ")));
  }
  for (const auto& [name, values] :
       {std::pair{"mean", &preprocess.mean}, {"std", &preprocess.std}}) {
    const auto count = std::ssize(*values);
    if (line.given(name) && count != 1 && count != options.in_chans) {
      throw UsageError(fmt::format("--{}", name),
                       options.in_chans == 1
                           ? "one value for one channel"
                           : fmt::format("one value or {}, one a channel", options.in_chans),
                       fmt::format("{} values", count));
    }
  }
}

void adapt_preprocess(const CommandLine& line, Conversion& conversion) {
  auto& description = conversion.model.description;
  const auto& options = description.options;
  if (!description.preprocess) {
    throw InputError(conversion.input + ": preprocess", "an object of options", "null");
  }
  auto preprocess = *description.preprocess;
  line.apply(preprocess);
  check_given(line, preprocess, options);
  for (const auto& [name, values] :
       {std::pair{"mean", &preprocess.mean}, {"std", &preprocess.std}}) {
    const auto count = std::ssize(*values);
    if (count != 1 && count != options.in_chans) {
      values->assign(1, 0.5);
      conversion.adapted.changed.push_back(
          fmt::format("{}: {} values to 0.5 for {} channels", name, count, options.in_chans));
    }
  }
  preprocess.input_size = input_size(options);
  description.preprocess = preprocess;
}

/// A head that starts anew has zero weights, as in training.
void add_fresh_head(AdaptedWeights& adapted, const VitOptions& to) {
  for (const auto& name : adapted.fresh) {
    adapted.tensors[name] = name.ends_with("bias")
                                ? torch::full({to.num_classes}, to.head_bias, torch::kFloat32)
                                : torch::zeros({to.num_classes, to.head_inputs()}, torch::kFloat32);
  }
}

}  // namespace

void adapt(Conversion& conversion, const CommandLine& line, ResizeOptions& resize,
           const std::string& class_names) {
  auto& model = conversion.model;
  auto& description = model.description;
  const auto& family = find_family(model.family);
  const auto file = description.options;
  auto to = transfer_options(file);
  line.apply(to);
  follow_choices(model, to);
  const auto from = source_options(file, to);
  check_weights(model.weights, from, family, conversion.input);
  validate(to);

  description.resize_mode = resize.resolve(description.resize_mode);
  const bool keep_head = to.num_classes == from.num_classes;
  conversion.adapted = adapt_weights(std::move(model.weights), from, to, description.resize_mode,
                                     keep_head, conversion.input);
  add_fresh_head(conversion.adapted, to);
  description.options = to;
  if (!keep_head) {
    description.class_names.clear();
  }
  if (!class_names.empty()) {
    description.class_names = read_class_names(class_names, to.num_classes);
  }
  adapt_preprocess(line, conversion);
  check_weights(conversion.adapted.tensors, to, family, conversion.input);
}

}  // namespace softmoe::cli

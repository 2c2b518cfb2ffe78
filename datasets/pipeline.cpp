#include "datasets/pipeline.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <optional>

#include "core/error.h"
#include "core/nearest_name.h"
#include "core/read_number.h"
#include "core/split_text.h"
#include "datasets/augment/rand_augment.h"

namespace softmoe {
namespace {

constexpr double kInfinite = std::numeric_limits<double>::infinity();

std::string without_spaces(const std::string& text) { return trimmed(text, " "); }

PipelineStep parse_step(const std::string& text) {
  const auto open = text.find('(');
  PipelineStep step{.name = without_spaces(text.substr(0, open))};
  if (open == std::string::npos) {
    return step;
  }
  if (text.back() != ')') {
    throw UsageError("--pp", "steps such as flip_lr or randaug(2,15)",
                     "'" + printable_text(text) + "'");
  }
  for (const auto& part : split_text(text.substr(open + 1, text.size() - open - 2), ',')) {
    const auto equals = part.find('=');
    if (equals == std::string::npos) {
      step.values.push_back(without_spaces(part));
    } else {
      step.named[without_spaces(part.substr(0, equals))] = without_spaces(part.substr(equals + 1));
    }
  }
  return step;
}

/// "224" or "96x64" as height and width.
void set_size(StepArguments& arguments, PreprocessOptions& options) {
  const auto text = arguments.text("");
  const auto sizes = arguments.numbers(text, 'x');
  if (sizes.size() > 2 || !std::ranges::all_of(sizes, [](double size) {
        return size >= 1 && size == std::floor(size) && size < 1e6;
      })) {
    arguments.reject("a size such as 224 or 96x64", text);
  }
  options.input_size[1] = static_cast<int64_t>(sizes.front());
  options.input_size[2] = static_cast<int64_t>(sizes.back());
}

void set_filter(StepArguments& arguments, PreprocessOptions& options) {
  options.interpolation = arguments.choice(Interpolation::kBilinear);
}

std::vector<double> range(StepArguments& arguments, const std::string& key,
                          const std::vector<double>& usual) {
  const auto text = arguments.text(key, "");
  const auto ends = text.empty() ? usual : arguments.numbers(text, '-');
  if (ends.size() != 2) {
    arguments.reject(key + "=LOW-HIGH", text);
  }
  return ends;
}

std::string noise(StepArguments& arguments) {
  const auto number = arguments.number("mstd", 0, kInfinite, -1);
  return number < 0 ? "" : std::isinf(number) ? "-mstdinf" : fmt::format("-mstd{:g}", number);
}

void read_scaled_jpeg(StepArguments& /*arguments*/, PreprocessOptions& options) {
  options.jpeg_decoding = JpegDecoding::kScaled;
}

void read_to_gray(StepArguments& /*arguments*/, PreprocessOptions& options) {
  options.input_size[0] = 1;
}

void read_inception_crop(StepArguments& arguments, PreprocessOptions& options) {
  const PreprocessOptions usual;
  options.train_crop = CropMode::kInception;
  set_size(arguments, options);
  options.scale = range(arguments, "area", usual.scale);
  options.ratio = range(arguments, "ratio", usual.ratio);
  set_filter(arguments, options);
}

void read_center_crop(StepArguments& arguments, PreprocessOptions& options) {
  options.train_crop = CropMode::kCenter;
  set_size(arguments, options);
  options.crop_pct = arguments.number(0.01, 1, PreprocessOptions().crop_pct);
  set_filter(arguments, options);
}

void read_resize(StepArguments& arguments, PreprocessOptions& options) {
  options.train_crop = CropMode::kNone;
  set_size(arguments, options);
  set_filter(arguments, options);
}

void read_padded_crop(StepArguments& arguments, PreprocessOptions& options) {
  if (options.train_crop != CropMode::kNone) {
    arguments.reject("resize(SIZE) before it", "another crop");
  }
  options.train_crop = CropMode::kPadded;
  options.padding = static_cast<int64_t>(arguments.number(0, 1e6));
}

void read_flip(StepArguments& arguments, PreprocessOptions& options) {
  options.hflip = arguments.number(0, 1, 0.5);
}

void read_vertical_flip(StepArguments& arguments, PreprocessOptions& options) {
  options.vflip = arguments.number(0, 1, 0.5);
}

void read_randaug(StepArguments& arguments, PreprocessOptions& options) {
  const double draws = arguments.number(1, 100, 2);
  const double magnitude = arguments.number(0, 100, 10);
  auto policy = fmt::format("rand-m{:g}-n{:g}{}", magnitude, draws, noise(arguments));
  const double probability = arguments.number("p", 0, 1, 0.5);
  policy += probability == 0.5 ? "" : fmt::format("-p{:g}", probability);
  const double most = arguments.number("mmax", 1, 100, 10);
  policy += most == 10 ? "" : fmt::format("-mmax{:g}", most);
  while (arguments.has_more()) {
    const auto word = arguments.text("");
    policy += word == "inc" ? "-inc1" : word == kOldWeightsSet ? "-w0" : "-t" + word;
  }
  options.augment.aa = policy;
}

void read_augmix(StepArguments& arguments, PreprocessOptions& options) {
  const double magnitude = arguments.number(0, 10, 3);
  const double width = arguments.number("width", 1, 100, 3);
  const auto depth = arguments.text("depth", "1-3");
  const double alpha = arguments.number("alpha", 0.01, 100, 1);
  options.augment.aa = fmt::format("augmix-m{:g}-w{:g}-d{}-a{:g}{}", magnitude, width,
                                   depth == "1-3" ? "0" : depth, alpha, noise(arguments));
}

void read_autoaug(StepArguments& arguments, PreprocessOptions& options) {
  const auto name = arguments.text("original");
  options.augment.aa = name + noise(arguments);
}

void read_trivialaug(StepArguments& arguments, PreprocessOptions& options) {
  options.augment.aa = "ta_" + arguments.text("wide");
}

void read_color_jitter(StepArguments& arguments, PreprocessOptions& options) {
  options.augment.color_jitter = {arguments.number(0, 100)};
  while (arguments.has_more()) {
    options.augment.color_jitter.push_back(arguments.number(0, 100));
  }
  options.augment.color_jitter_prob = arguments.number("p", 0, 1, 1);
}

void read_grayscale(StepArguments& arguments, PreprocessOptions& options) {
  options.augment.grayscale_prob = arguments.number(0, 1);
}

void read_blur(StepArguments& arguments, PreprocessOptions& options) {
  options.augment.gaussian_blur_prob = arguments.number(0, 1);
}

void read_value_range(StepArguments& arguments, PreprocessOptions& options) {
  const double low = arguments.number(-1e6, 1e6);
  const double high = arguments.number(-1e6, 1e6);
  if (high <= low) {
    arguments.reject("LOW,HIGH", fmt::format("{:g},{:g}", low, high));
  }
  options.std = {1.0 / (high - low)};
  options.mean = {-low / (high - low)};
}

void read_normalize(StepArguments& arguments, PreprocessOptions& options) {
  options.mean = arguments.numbers(arguments.text(""), ' ');
  options.std = arguments.numbers(arguments.text(""), ' ');
}

void read_random_erase(StepArguments& arguments, PreprocessOptions& options) {
  options.augment.reprob = arguments.number(0, 1);
  options.augment.remode = arguments.choice(EraseMode::kPixel);
  options.augment.recount = static_cast<int64_t>(arguments.number("count", 1, 1000, 1));
}

/// A step, and its place among the others.
struct StepRow {
  std::string_view name;
  int rank;
  void (*read)(StepArguments& arguments, PreprocessOptions& options);
};

constexpr std::array<StepRow, 18> kSteps{{{"decode_scaled_jpeg", -1, read_scaled_jpeg},
                                          {"to_gray", 0, read_to_gray},
                                          {"inception_crop", 1, read_inception_crop},
                                          {"center_crop", 1, read_center_crop},
                                          {"resize", 1, read_resize},
                                          {"padded_crop", 2, read_padded_crop},
                                          {"flip_lr", 3, read_flip},
                                          {"flip_ud", 4, read_vertical_flip},
                                          {"randaug", 5, read_randaug},
                                          {"augmix", 5, read_augmix},
                                          {"autoaug", 5, read_autoaug},
                                          {"trivialaug", 5, read_trivialaug},
                                          {"color_jitter", 6, read_color_jitter},
                                          {"grayscale", 7, read_grayscale},
                                          {"gaussian_blur", 8, read_blur},
                                          {"value_range", 9, read_value_range},
                                          {"normalize", 9, read_normalize},
                                          {"random_erase", 10, read_random_erase}}};

}  // namespace

std::vector<PipelineStep> parse_pipeline(const std::string& text) {
  std::vector<PipelineStep> steps;
  for (const auto& part : split_text(text, '|')) {
    steps.push_back(parse_step(without_spaces(part)));
  }
  return steps;
}

void StepArguments::reject(const std::string& expected, const std::string& found) const {
  throw UsageError("--pp: " + printable_text(step_.name), expected,
                   "'" + printable_text(found) + "'");
}

double StepArguments::parse(const std::string& text, double min, double max) const {
  const auto number = parse_number(text);
  if (!number || !(*number >= min && *number <= max)) {
    reject(fmt::format("a number from {:g} to {:g}", min, max), text);
  }
  return *number;
}

std::string StepArguments::text(const std::string& otherwise) {
  return has_more() ? step_.values[next_++] : otherwise;
}

std::string StepArguments::text(const std::string& key, const std::string& otherwise) {
  const auto found = left_.extract(key);
  return found.empty() ? otherwise : found.mapped();
}

double StepArguments::number(double min, double max) { return parse(text(""), min, max); }

double StepArguments::number(double min, double max, double otherwise) {
  return has_more() ? number(min, max) : otherwise;
}

double StepArguments::number(const std::string& key, double min, double max, double otherwise) {
  const auto given = text(key, "");
  return given.empty() ? otherwise : parse(given, min, max);
}

std::vector<double> StepArguments::numbers(const std::string& text, char separator) const {
  std::vector<double> result;
  for (const auto& part : split_text(text, separator)) {
    result.push_back(parse(part, -1e6, 1e6));
  }
  if (result.empty()) {
    reject("a number", text);
  }
  return result;
}

void StepArguments::finish() const {
  if (has_more()) {
    reject("no further argument", step_.values[next_]);
  }
  if (!left_.empty()) {
    reject("no argument of that name", left_.begin()->first);
  }
}

void apply_image_steps(std::vector<PipelineStep>& steps, PreprocessOptions& options) {
  options.hflip = 0.0;
  options.vflip = 0.0;
  options.train_crop = CropMode::kAuto;
  const auto repeats = options.augment.aug_repeats;
  options.augment = {};
  options.augment.aug_repeats = repeats;
  const StepRow* before = nullptr;
  size_t used = 0;
  for (; used < steps.size(); ++used) {
    const auto* const row = std::ranges::find(kSteps, steps[used].name, &StepRow::name);
    if (row == kSteps.end()) {
      break;
    }
    StepArguments arguments(steps[used]);
    if (before != nullptr && row->rank <= before->rank) {
      arguments.reject(fmt::format("before {}, and only one of them", before->name),
                       steps[used].name + " behind it");
    }
    row->read(arguments, options);
    arguments.finish();
    before = row;
  }
  steps.erase(steps.begin(), steps.begin() + static_cast<std::ptrdiff_t>(used));
  validate(options);
}

void check_pipeline(const std::vector<PipelineStep>& steps, const PreprocessOptions& options,
                    const std::vector<std::string>& further) {
  if (steps.empty()) {
    if (options.train_crop == CropMode::kAuto) {
      throw UsageError("--pp", "a crop such as inception_crop(224) or resize(28)", "none");
    }
    return;
  }
  const auto& step = steps.front();
  std::vector<std::string> names;
  for (const auto& row : kSteps) {
    names.emplace_back(row.name);
  }
  names.insert(names.end(), further.begin(), further.end());
  throw UsageError("--pp", fmt::format("steps in the order {}", fmt::join(names, ", ")),
                   "'" + printable_text(step.name) + "'" + did_you_mean(step.name, names));
}

const std::vector<std::string>& pipeline_options() {
  static const std::vector<std::string> names{"train-crop-mode",
                                              "scale",
                                              "ratio",
                                              "padding",
                                              "hflip",
                                              "vflip",
                                              "aa",
                                              "color-jitter",
                                              "color-jitter-prob",
                                              "grayscale-prob",
                                              "reprob",
                                              "gaussian-blur-prob",
                                              "remode",
                                              "recount",
                                              "interpolation",
                                              "mean",
                                              "std"};
  return names;
}

}  // namespace softmoe

#include "checkpoints/convert/guess_preprocess.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "checkpoints/convert/preprocessor.h"
#include "core/error.h"

namespace softmoe {
namespace {

/// The preprocessing of the family's code.
PreprocessOptions family_preprocess(const VitOptions& options, const Family& family,
                                    const Json& config) {
  const auto* const variant = find_variant(family, options, config_architecture(config));
  const auto& pixels = variant != nullptr ? variant->pixels : family.pixels;
  auto preprocess = default_preprocess(options);
  preprocess.mean.assign(pixels.mean.begin(), pixels.mean.end());
  preprocess.std.assign(pixels.std.begin(), pixels.std.end());
  preprocess.interpolation = pixels.interpolation;
  preprocess.crop_pct = pixels.crop_pct;
  preprocess.crop_floor = family.crop_floor;
  return preprocess;
}

/// Sets what timm's config says.
void read_pretrained(const Json& config, PreprocessOptions& preprocess) {
  const auto timm = config_field<Json>(config, "pretrained_cfg").value_or(Json());
  preprocess.mean = config_field<std::vector<double>>(timm, "mean").value_or(preprocess.mean);
  preprocess.std = config_field<std::vector<double>>(timm, "std").value_or(preprocess.std);
  preprocess.crop_pct = config_field<double>(timm, "crop_pct").value_or(preprocess.crop_pct);
  const auto filter = config_field<std::string>(timm, "interpolation").value_or("");
  preprocess.interpolation = enum_value<Interpolation>(filter).value_or(preprocess.interpolation);
  if (config_field<std::string>(timm, "crop_mode") == "squash") {
    preprocess.crop = CropMode::kNone;
  }
}

/// Notes what the family's code decides because no config says it.
void note_family_pixels(const PreprocessOptions& preprocess, const Family& family,
                        const Json& config, ReadingNotes& notes) {
  const auto timm = config_field<Json>(config, "pretrained_cfg").value_or(Json());
  const auto note = [&](const char* option, const char* field, const std::string& value) {
    if (!timm.is_object() || !timm.contains(field)) {
      notes.assume(option, value, fmt::format("family {}", family.name));
    }
  };
  note("mean", "mean", fmt::format("{:g}", fmt::join(preprocess.mean, " ")));
  note("std", "std", fmt::format("{:g}", fmt::join(preprocess.std, " ")));
  note("interpolation", "interpolation", enum_name(preprocess.interpolation));
  note("crop-pct", "crop_pct", fmt::format("{:g}", preprocess.crop_pct));
}

/// `values` as an option has them: one if all are equal, else one per channel.
std::vector<double> fit_channels(const std::string& name, const std::vector<double>& values,
                                 int64_t channels, std::vector<std::string>& choices) {
  const bool are_equal =
      !values.empty() && std::all_of(values.begin(), values.end(),
                                     [&](double value) { return value == values.front(); });
  if (are_equal) {
    return {values.front()};
  }
  if (std::ssize(values) == channels && channels > 0) {
    return values;
  }
  choices.push_back(
      fmt::format("{} 0.5 ({} values are known, {} channels)", name, values.size(), channels));
  return {0.5};
}

void check_values(const std::string& name, const std::vector<double>& values, bool above_zero,
                  const std::string& where) {
  const bool good = std::all_of(values.begin(), values.end(), [&](double value) {
    return std::isfinite(value) && (!above_zero || value > 0.0);
  });
  if (!good) {
    throw InputError(where + ": config: " + name + " of pixels",
                     above_zero ? "finite numbers above 0" : "finite numbers",
                     fmt::format("{:g}", fmt::join(values, " ")));
  }
}

}  // namespace

PreprocessOptions guess_preprocess(const VitOptions& options, const Family& family,
                                   const ConfigFiles& configs, const std::string& where,
                                   ReadingNotes& notes) {
  auto preprocess = family_preprocess(options, family, configs.config);
  read_pretrained(configs.config, preprocess);
  read_preprocessor(configs.preprocessor, where + ": preprocessor_config.json", preprocess,
                    notes.choices);
  check_values("mean", preprocess.mean, /*above_zero=*/false, where);
  preprocess.mean = fit_channels("mean", preprocess.mean, options.in_chans, notes.choices);
  check_values("std", preprocess.std, /*above_zero=*/true, where);
  preprocess.std = fit_channels("std", preprocess.std, options.in_chans, notes.choices);
  if (configs.preprocessor.is_null()) {
    note_family_pixels(preprocess, family, configs.config, notes);
  }
  // Ranges of the other options.
  return stored_options<PreprocessOptions>(options_to_json(preprocess), where + ": preprocess");
}

}  // namespace softmoe

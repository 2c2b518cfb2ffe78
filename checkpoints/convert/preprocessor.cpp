#include "checkpoints/convert/preprocessor.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

#include "checkpoints/convert/read_config.h"
#include "core/error.h"

namespace softmoe {
namespace {

/// Filters by the numbers of PIL; `ours` is empty where there is none.
struct PilFilter {
  std::string_view name;
  std::string_view ours;
};
constexpr std::array<PilFilter, 6> kPilFilters{{{"nearest", "nearest"},
                                                {"lanczos", ""},
                                                {"bilinear", "bilinear"},
                                                {"bicubic", "bicubic"},
                                                {"box", "box"},
                                                {"hamming", ""}}};
constexpr int64_t kPilBilinear = 2;
constexpr int64_t kSmallSide = 64;  // below, crop-mode auto takes images whole
constexpr double kWhite = 255.0;

/// Height and width of an image.
struct Edges {
  int64_t height = 0;
  int64_t width = 0;

  bool operator==(const Edges&) const = default;
};

class Reader {
 public:
  Reader(const Json& config, const std::string& where, Json& preprocess,
         std::vector<std::string>& choices)
      : config_(config), where_(where), preprocess_(preprocess), choices_(choices) {}

  void read() {
    filter();
    crop();
    normalization();
  }

 private:
  void note(const std::string& text) { choices_.push_back(text + " (preprocessor_config.json)"); }

  std::optional<bool> said(const std::string& field) const {
    return checked_field<bool>(config_, field, where_, "true or false");
  }

  std::optional<std::vector<double>> values(const std::string& field) const {
    return checked_field<std::vector<double>>(config_, field, where_, "a list of numbers");
  }

  void filter() {
    const auto code = config_field<Json>(config_, "resample");
    if (!code) {
      return;
    }
    const int64_t number = code->is_number_integer() ? code->get<int64_t>() : -1;
    if (number < 0 || number >= std::ssize(kPilFilters)) {
      throw InputError(where_ + ": resample", "a filter of PIL, 0 to 5",
                       printable_text(json_text(*code), 60));
    }
    const auto& row = kPilFilters[static_cast<size_t>(number)];
    if (row.ours.empty()) {
      note(fmt::format("interpolation {} for {}, which there is none of",
                       preprocess_.at("interpolation").get<std::string>(), row.name));
    } else {
      preprocess_["interpolation"] = row.ours;
    }
  }

  int64_t checked(const std::string& field, int64_t edge) const {
    constexpr int64_t kLargest = 1 << 16;
    if (edge < 1 || edge > kLargest) {
      throw InputError(where_ + ": " + field, fmt::format("1 to {} px", kLargest),
                       std::to_string(edge));
    }
    return edge;
  }

  /// A size that is one number, or an object of height and width.
  std::optional<Edges> edges(const std::string& field) const {
    if (const auto edge = config_field<int64_t>(config_, field)) {
      return Edges{checked(field, *edge), checked(field, *edge)};
    }
    const auto both = config_field<Json>(config_, field).value_or(Json());
    const auto height = config_field<int64_t>(both, "height");
    const auto width = config_field<int64_t>(both, "width");
    return height && width ? std::optional(Edges{checked(field, *height), checked(field, *width)})
                           : std::nullopt;
  }

  /// The shorter edge after resizing, where the aspect ratio is kept. Old configs have one number,
  /// which means that for CLIP's processor alone.
  std::optional<int64_t> shortest_edge() const {
    const auto size = config_field<Json>(config_, "size").value_or(Json());
    if (const auto edge = config_field<int64_t>(size, "shortest_edge")) {
      return checked("size", *edge);
    }
    auto type = config_field<std::string>(config_, "image_processor_type");
    type = type ? type : config_field<std::string>(config_, "feature_extractor_type");
    const bool is_clip = type && type->starts_with("CLIP");
    return is_clip && size.is_number_integer() ? std::optional(checked("size", size.get<int64_t>()))
                                               : std::nullopt;
  }

  void center(int64_t kept, int64_t resized) {
    preprocess_["crop-mode"] = "center";
    // The resized edge will be the whole part of kept / share.
    double share = static_cast<double>(kept) / static_cast<double>(resized);
    if (std::floor(static_cast<double>(kept) / share) < static_cast<double>(resized)) {
      share = std::nextafter(share, 0.0);
    }
    if (share > 1.0) {
      note(fmt::format("crop-pct 1 for a crop of {} px from {} px with black around", kept,
                       resized));
    }
    preprocess_["crop-pct"] = std::clamp(share, 0.01, 1.0);
  }

  void crop() {
    const auto window = edges("crop_size");
    const bool crops = said("do_center_crop").value_or(window.has_value());
    if (!said("do_resize").value_or(true)) {
      note("images of another size are resized, though do_resize is false");
    }
    if (const auto edge = shortest_edge()) {
      if (!crops) {
        note("crop-mode center, though do_center_crop is false: images become squares");
      }
      center(crops && window ? std::min(window->height, window->width) : *edge, *edge);
      return;
    }
    const auto size = edges("size");
    if (size && (!crops || !window || window == size)) {
      preprocess_["crop-mode"] = "none";
    } else if (size) {
      note(fmt::format("crop-mode center, though images are squeezed to {}x{} px first",
                       size->height, size->width));
      center(std::min(window->height, window->width), std::min(size->height, size->width));
    }
  }

  void normalization() {
    auto mean = values("image_mean").value_or(preprocess_.at("mean").get<std::vector<double>>());
    auto std = values("image_std").value_or(preprocess_.at("std").get<std::vector<double>>());
    if (!said("do_normalize").value_or(true)) {
      mean = {0.0};
      std = {1.0};
    }
    const bool rescales = said("do_rescale").value_or(true);
    const double factor =
        rescales ? checked_field<double>(config_, "rescale_factor", where_, "a number above 0")
                       .value_or(1.0 / kWhite)
                 : 1.0;
    // Ours are for white at 1.
    const double white = factor * kWhite;
    if (std::abs(white - 1.0) > 1e-6) {
      for (auto* values : {&mean, &std}) {
        std::for_each(values->begin(), values->end(), [white](double& value) { value /= white; });
      }
    }
    preprocess_["mean"] = mean;
    preprocess_["std"] = std;
  }

  const Json& config_;
  const std::string& where_;
  Json& preprocess_;
  std::vector<std::string>& choices_;
};

}  // namespace

void read_preprocessor(const Json& config, const std::string& where, Json& preprocess,
                       std::vector<std::string>& choices) {
  if (config.is_null()) {
    return;
  }
  if (!config.is_object()) {
    throw InputError(where, "an object", printable_text(json_text(config), 60));
  }
  Reader(config, where, preprocess, choices).read();
}

bool squeezes_images(const ModelDescription& description) {
  const auto& options = description.options;
  const auto mode = description.preprocess.value("crop-mode", std::string("auto"));
  const bool is_small = std::max(options.image_height(), options.image_width()) < kSmallSide;
  return mode == "none" || (mode == "auto" && is_small);
}

Json per_channel(const Json& preprocess, const std::string& name, int64_t channels) {
  auto values = preprocess.value(name, std::vector<double>{0.5});
  if (values.size() == 1) {
    values.assign(static_cast<size_t>(channels), values.front());
  }
  return values;
}

Json huggingface_preprocessor(const ModelDescription& description) {
  const auto& options = description.options;
  const auto& preprocess = description.preprocess;
  const Json input{{"height", options.image_height()}, {"width", options.image_width()}};
  Json config{{"image_processor_type", "ViTImageProcessor"}, {"do_resize", true}, {"size", input}};
  if (!squeezes_images(description)) {
    const auto longer = std::max(options.image_height(), options.image_width());
    const double resized = static_cast<double>(longer) / preprocess.value("crop-pct", 1.0);
    config["image_processor_type"] = "BitImageProcessor";
    config["size"] = {{"shortest_edge", static_cast<int64_t>(resized)}};
    config["do_center_crop"] = true;
    config["crop_size"] = input;
  }
  const auto interpolation = preprocess.value("interpolation", std::string("bilinear"));
  const auto filter = std::find_if(kPilFilters.begin(), kPilFilters.end(),
                                   [&](const auto& row) { return row.name == interpolation; });
  config["resample"] = filter == kPilFilters.end() ? kPilBilinear : filter - kPilFilters.begin();
  config["do_rescale"] = true;
  config["rescale_factor"] = 1.0 / kWhite;
  config["do_normalize"] = true;
  config["image_mean"] = per_channel(preprocess, "mean", options.in_chans);
  config["image_std"] = per_channel(preprocess, "std", options.in_chans);
  return config;
}

}  // namespace softmoe

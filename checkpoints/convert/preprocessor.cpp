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

/// A filter by the numbers of PIL.
struct PilFilter {
  std::string_view name;
  std::optional<Interpolation> ours;
};
constexpr std::array<PilFilter, 6> kPilFilters{{{"nearest", Interpolation::kNearest},
                                                {"lanczos", std::nullopt},
                                                {"bilinear", Interpolation::kBilinear},
                                                {"bicubic", Interpolation::kBicubic},
                                                {"box", Interpolation::kBox},
                                                {"hamming", std::nullopt}}};
constexpr double kWhite = 255.0;

/// Height and width of an image.
struct Edges {
  int64_t height = 0;
  int64_t width = 0;

  bool operator==(const Edges&) const = default;
};

/// Reads one preprocessor_config.json.
class PreprocessorReader {
 public:
  PreprocessorReader(const Json& config, const std::string& where, PreprocessOptions& preprocess,
                     std::vector<std::string>& choices)
      : config_(config), where_(where), preprocess_(preprocess), choices_(choices) {}

  void read() {
    read_filter();
    read_crop();
    read_normalization();
  }

 private:
  void note(const std::string& text) { choices_.push_back(text + " (preprocessor_config.json)"); }

  std::optional<bool> flag(const std::string& field) const {
    return checked_field<bool>(config_, field, where_, "true or false");
  }

  std::optional<std::vector<double>> values(const std::string& field) const {
    return checked_field<std::vector<double>>(config_, field, where_, "a list of numbers");
  }

  void read_filter() {
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
    if (row.ours) {
      preprocess_.interpolation = *row.ours;
    } else {
      note(fmt::format("interpolation {} for {}, which does not exist here",
                       enum_name(preprocess_.interpolation), row.name));
    }
  }

  int64_t checked(const std::string& field, int64_t edge) const {
    constexpr int64_t kMaxEdge = 1 << 16;
    if (edge < 1 || edge > kMaxEdge) {
      throw InputError(where_ + ": " + field, fmt::format("1 to {} px", kMaxEdge),
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

  /// The shorter edge after resizing, if the aspect ratio is kept. Old configs have one number,
  /// which means the shorter edge in CLIP's processor alone.
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

  void crop_from_center(int64_t kept, int64_t resized) {
    preprocess_.crop = CropMode::kCenter;
    // The resized edge will be the whole part of kept / share.
    double share = static_cast<double>(kept) / static_cast<double>(resized);
    if (std::floor(static_cast<double>(kept) / share) < static_cast<double>(resized)) {
      share = std::nextafter(share, 0.0);
    }
    if (share > 1.0) {
      note(fmt::format("crop-pct 1 for a crop of {} px from {} px with black around", kept,
                       resized));
    }
    preprocess_.crop_pct = std::clamp(share, 0.01, 1.0);
  }

  void read_crop() {
    const auto window = edges("crop_size");
    const bool crops = flag("do_center_crop").value_or(window.has_value());
    if (!flag("do_resize").value_or(true)) {
      note("images of another size are resized, though do_resize is false");
    }
    if (const auto edge = shortest_edge()) {
      if (!crops) {
        note("crop-mode center, though do_center_crop is false: images become squares");
      }
      crop_from_center(crops && window ? std::min(window->height, window->width) : *edge, *edge);
      return;
    }
    const auto size = edges("size");
    if (size && (!crops || !window || window == size)) {
      preprocess_.crop = CropMode::kNone;
    } else if (size) {
      note(fmt::format("crop-mode center, though images are squeezed to {}x{} px first",
                       size->height, size->width));
      crop_from_center(std::min(window->height, window->width),
                       std::min(size->height, size->width));
    }
  }

  void read_normalization() {
    auto mean = values("image_mean").value_or(preprocess_.mean);
    auto std = values("image_std").value_or(preprocess_.std);
    if (!flag("do_normalize").value_or(true)) {
      mean = {0.0};
      std = {1.0};
    }
    const bool rescales = flag("do_rescale").value_or(true);
    const double factor =
        rescales ? checked_field<double>(config_, "rescale_factor", where_, "a number above 0")
                       .value_or(1.0 / kWhite)
                 : 1.0;
    // Here, white is 1.
    const double white = factor * kWhite;
    if (std::abs(white - 1.0) > 1e-6) {
      for (auto* values : {&mean, &std}) {
        std::for_each(values->begin(), values->end(), [white](double& value) { value /= white; });
      }
    }
    preprocess_.mean = mean;
    preprocess_.std = std;
  }

  const Json& config_;
  const std::string& where_;
  PreprocessOptions& preprocess_;
  std::vector<std::string>& choices_;
};

}  // namespace

void read_preprocessor(const Json& config, const std::string& where, PreprocessOptions& preprocess,
                       std::vector<std::string>& choices) {
  if (config.is_null()) {
    return;
  }
  if (!config.is_object()) {
    throw InputError(where, "an object", printable_text(json_text(config), 60));
  }
  PreprocessorReader(config, where, preprocess, choices).read();
}

std::vector<double> per_channel(const std::vector<double>& values, int64_t channels) {
  return values.size() == 1 ? std::vector<double>(static_cast<size_t>(channels), values.front())
                            : values;
}

Json huggingface_preprocessor(const ModelDescription& description) {
  const auto& options = description.options;
  const auto preprocess = description.preprocess.value_or(default_preprocess(options));
  const Json input{{"height", options.image_height()}, {"width", options.image_width()}};
  Json config{{"image_processor_type", "ViTImageProcessor"}, {"do_resize", true}, {"size", input}};
  if (preprocess.evaluation_crop() != CropMode::kNone) {
    const auto longer = std::max(options.image_height(), options.image_width());
    const double resized = static_cast<double>(longer) / preprocess.crop_pct;
    config["image_processor_type"] = "BitImageProcessor";
    config["size"] = {{"shortest_edge", static_cast<int64_t>(resized)}};
    config["do_center_crop"] = true;
    config["crop_size"] = input;
  }
  const auto filter =
      std::find_if(kPilFilters.begin(), kPilFilters.end(),
                   [&](const PilFilter& row) { return row.ours == preprocess.interpolation; });
  config["resample"] = filter - kPilFilters.begin();
  config["do_rescale"] = true;
  config["rescale_factor"] = 1.0 / kWhite;
  config["do_normalize"] = true;
  config["image_mean"] = per_channel(preprocess.mean, options.in_chans);
  config["image_std"] = per_channel(preprocess.std, options.in_chans);
  return config;
}

}  // namespace softmoe

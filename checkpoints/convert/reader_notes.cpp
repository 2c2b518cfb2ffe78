#include "checkpoints/convert/reader_notes.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "checkpoints/convert/family_limits.h"
#include "checkpoints/convert/npz_description.h"
#include "checkpoints/convert/vmoe_routers.h"

namespace softmoe {
namespace {

/// Returns true if both are the same for each channel; one value is that of all channels.
bool are_same(const std::vector<double>& values, const std::array<double, 3>& theirs) {
  if (values.empty()) {
    return false;
  }
  for (size_t channel = 0; channel < std::max(values.size(), theirs.size()); ++channel) {
    if (values[channel % values.size()] != theirs[channel % theirs.size()]) {
      return false;
    }
  }
  return true;
}

/// Gathers the notes on one model.
class ReaderNotes {
 public:
  ReaderNotes(TensorFormat format, const Family& family, const ModelDescription& description)
      : has_files_(format_row(format).has_config_files),
        has_config_(has_files_ && family.configs.config != nullptr),
        family_(family),
        options_(description.options),
        preprocess_(description.preprocess.value_or(default_preprocess(options_))) {}

  std::vector<std::string> take() {
    note_crop();
    note_eps();
    note_activation();
    note_pixels();
    note_parts();
    return std::move(notes_);
  }

 private:
  void note_crop() {
    const bool crops = preprocess_.evaluation_crop() != CropMode::kNone;
    if (has_files_ && preprocess_.crop_floor != family_.crop_floor && !family_.is_ours && crops &&
        preprocess_.crop_pct < 1.0) {
      notes_.push_back(
          fmt::format("crop-floor is {}, {}'s code has {}: a pixel, for some image sizes",
                      preprocess_.crop_floor, family_.name, family_.crop_floor));
    }
  }

  /// The eps of the family's code for this model.
  double family_eps() const {
    // A config names an architecture that has the eps of a variant.
    const auto* const variant = find_variant(family_, options_, std::nullopt);
    const bool is_variant =
        variant != nullptr && (!has_files_ || options_.norm_eps == variant->norm_eps);
    return is_variant ? variant->norm_eps : family_.code.norm_eps;
  }

  void note_eps() {
    const bool is_told = family_.is_ours || (has_config_ && family_.configs.tells_eps);
    if (!is_told && options_.norm_eps != family_eps()) {
      notes_.push_back(fmt::format("norm-eps is {:g}, {}'s code has {:g}", options_.norm_eps,
                                   family_.name, family_eps()));
    }
  }

  void note_activation() {
    const bool has_gelu = options_.mlp_layer == MlpLayer::kMlp;
    if (!family_.is_ours && !has_config_ && has_gelu && options_.gelu != family_.code.gelu) {
      notes_.push_back(fmt::format("gelu is {}, {}'s code has {}", enum_name(options_.gelu),
                                   family_.name, enum_name(family_.code.gelu)));
    }
  }

  void note_pixels() {
    if (family_.is_ours || has_config_) {
      return;
    }
    for (const auto& [name, values, theirs] :
         {std::tuple{"mean", &preprocess_.mean, &family_.pixels.mean},
          {"std", &preprocess_.std, &family_.pixels.std}}) {
      if (!are_same(*values, *theirs)) {
        notes_.push_back(fmt::format("{} is {:g}, {}'s code has {:g}", name,
                                     fmt::join(*values, " "), family_.name,
                                     fmt::join(*theirs, " ")));
      }
    }
  }

  void note_parts() {
    const auto& router = options_.moe.router;
    if (!family_.is_ours && has_moe(options_) && router_row(router).vmoe == VmoeForm::kMistaken) {
      notes_.push_back(fmt::format("router {}, which tensors do not tell from {}", router,
                                   recognized_router(router_row(router).kind)));
    }
    if (family_.code.outdated_pre_logits && options_.pre_logits > 0) {
      notes_.push_back(
          fmt::format("pre-logits, which {}'s code of today does not have", family_.name));
    }
    if (has_unknown_positions(family_, options_)) {
      notes_.emplace_back("fixed positions are written as a table, as if learned");
    }
    if (const auto pool = only_pooling(family_, options_); pool && *pool != options_.global_pool) {
      notes_.push_back(fmt::format("global-pool is {}, {}'s code has {}",
                                   enum_name(options_.global_pool), family_.name,
                                   enum_name(*pool)));
    }
    if (!family_.code.pooled_norm && options_.final_norm == FinalNorm::kPooled) {
      notes_.push_back(
          fmt::format("final-norm is pooled, {}'s code has it on tokens", family_.name));
    }
  }

  bool has_files_;   ///< config files stand beside the file
  bool has_config_;  ///< the family's is one of them
  const Family& family_;
  const VitOptions& options_;
  PreprocessOptions preprocess_;
  std::vector<std::string> notes_;
};

}  // namespace

std::vector<std::string> reader_notes(TensorFormat format, const Family& family,
                                      const ModelDescription& description) {
  auto notes = ReaderNotes(format, family, description).take();
  if (format == TensorFormat::kNpz && !names_fit_npz(description)) {
    notes.emplace_back("the names of the classes are lost: an npz file has no room for so many");
  }
  return notes;
}

}  // namespace softmoe

#pragma once
/// Mixing of the images of a batch and of their targets, with timm's meaning.

#include <array>
#include <string>
#include <vector>

#include "core/options.h"
#include "core/rng.h"
#include "datasets/loader.h"
#include "datasets/pipeline.h"

namespace softmoe {

/// What shares one draw of lambda and of the kind of mixing.
enum class MixupMode {
  kBatch,  ///< all images
  kPair,   ///< an image and its partner
  kElem    ///< each image alone
};
template <>
inline constexpr std::array<EnumName<MixupMode>, 3> kEnumNames<MixupMode>{
    {{MixupMode::kBatch, "batch"}, {MixupMode::kPair, "pair"}, {MixupMode::kElem, "elem"}}};

/// Options of mixup (Zhang et al., arXiv:1710.09412) and CutMix (Yun et al., arXiv:1905.04899). The
/// defaults mix nothing.
struct MixupOptions {
  double mixup = 0.0;                      ///< parameter of mixup's beta distribution; 0: off
  double cutmix = 0.0;                     ///< parameter of CutMix's beta distribution; 0: off
  std::vector<double> cutmix_minmax = {};  ///< min and max share of a side that is cut; empty: off
  double mixup_prob = 1.0;                 ///< of mixing at all
  double mixup_switch_prob = 0.5;          ///< of CutMix if both are on
  MixupMode mixup_mode = MixupMode::kBatch;
  int64_t mixup_off_epoch = 0;  ///< epochs with mixing; 0: all

  bool operator==(const MixupOptions&) const = default;
};
void describe(OptionTable& table, MixupOptions& options);

/// Throws UsageError for options that contradict each other.
void validate(const MixupOptions& options);

/// Sets the options that the steps "mixup(ALPHA)" and "cutmix(ALPHA)" or "cutmix(LOW-HIGH)" at the
/// front of `steps` name, as mixing_text() writes them, and takes these steps away; without them,
/// nothing is mixed. Throws UsageError that names `--pp` and the step.
void apply_mixing_steps(std::vector<PipelineStep>& steps, MixupOptions& options);

/// Returns true if the batches of `epoch`, from 0 on, are mixed.
bool mixes(const MixupOptions& options, int64_t epoch);

/// The steps "|mixup(0.8)|cutmix(1)"; empty if nothing is mixed.
std::string mixing_text(const MixupOptions& options);

/// Mixes each image of `batch` with the one at the mirrored place, and sets the targets [batch,
/// `classes`] accordingly, without label smoothing, which the loss adds. The images are replaced by
/// new ones.
void mix_batch(const MixupOptions& options, int64_t classes, Rng& rng, Batch& batch);

}  // namespace softmoe

#pragma once
/// A linear classifier trained on frozen features, as `eval/linear.py` of DINOv2 (Oquab et al.,
/// arXiv:2304.07193, section 7) does it.
///
/// What differs: features are computed before, of each image as evaluation sees it and of a number
/// of augmented views, and not of a new view each time; they are the input of the model's head, and
/// not also those of several blocks and of averaged patches; the learning rate is chosen on
/// held-out training examples, never on the test set, and the classifier then learns anew from all
/// training examples.

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/options.h"
#include "eval/linear_probe_options.h"
#include "eval/metrics.h"
#include "eval/split_features.h"

namespace softmoe {

/// How one learning rate did on the held-out examples.
struct ProbeCandidate {
  double learning_rate = 0;  ///< as in the options, not scaled
  double top1 = 0;           ///< in [0, 1]
  double loss = 0;           ///< NaN or infinite if it diverged
};

/// A trained classifier and its accuracy.
struct LinearProbeResult {
  std::string name{};
  int64_t dim = 0;
  int64_t classes = 0;
  int64_t train_examples = 0;
  int64_t held_out_examples = 0;             ///< of these, in the choice of the learning rate
  std::vector<ProbeCandidate> candidates{};  ///< empty if there was one learning rate
  double learning_rate = 0;                  ///< the chosen one
  int64_t updates = 0;                       ///< of the classifier
  ClassificationResult test{};
  torch::Tensor weight{};  ///< [classes, dim] float32 on the CPU
  torch::Tensor bias{};    ///< [classes]
};

/// Where the probe is trained.
struct ProbeRun {
  torch::Device device = torch::kCPU;
  std::function<void()> before_update = {};  ///< may throw, such as on Ctrl-C
};

/// Trains a classifier on the training features and tests it. Passes over the training examples
/// take turns: `features.train` as it is, then each of `features.views`. Its classes are those of
/// `features.class_names`, or those up to the largest training label. Equal options and seeds
/// give equal classifiers. Throws UsageError for options that contradict themselves, InputError
/// for sets that are not valid or have other dims, for a test label beyond the classes, and if no
/// class has two examples of which one could be held out, or every learning rate diverges.
LinearProbeResult linear_probe(const SplitFeatures& features, const LinearProbeOptions& options,
                               const ProbeRun& run = {});

/// {"name", "dim", …, "learning_rate", "selection": [...]} and the members of the test's result.
Json to_json(const LinearProbeResult& result);

}  // namespace softmoe

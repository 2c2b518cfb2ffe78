#include "eval/linear_probe.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <optional>

#include "core/error.h"
#include "core/log.h"
#include "core/progress.h"
#include "core/rng.h"
#include "eval/linear_heads.h"

namespace softmoe {
namespace {

constexpr double kScaledBatch = 256.0;  // that learning rates are given for
constexpr int64_t kTestBatch = 4096;

/// Examples on the device of the probe.
struct Examples {
  torch::Tensor features;  // [examples, dim] float32
  torch::Tensor labels;    // [examples] int64

  Examples at(const std::vector<int64_t>& places) const {
    const auto rows = torch::tensor(places, torch::kInt64).to(labels.device());  // [places]
    return {.features = features.index_select(0, rows), .labels = labels.index_select(0, rows)};
  }
};

std::vector<int64_t> to_numbers(const torch::Tensor& labels) {
  const auto numbers = labels.cpu().contiguous();  // [examples]
  const auto* first = numbers.const_data_ptr<int64_t>();
  return {first, first + numbers.numel()};
}

/// Training examples in two parts, each ascending.
struct HeldOut {
  std::vector<int64_t> learned;
  std::vector<int64_t> held_out;
};

HeldOut hold_out_examples(const std::vector<int64_t>& labels, int64_t num_classes,
                          const LinearProbeOptions& options, const std::string& name) {
  std::vector<std::vector<int64_t>> members(static_cast<size_t>(num_classes));
  Rng rng(stream_key(static_cast<uint64_t>(options.seed), "held-out examples"));
  for (const int64_t index : random_permutation(std::ssize(labels), rng)) {
    members[static_cast<size_t>(labels[static_cast<size_t>(index)])].push_back(index);
  }
  HeldOut parts;
  for (const auto& examples : members) {
    const auto count = std::ssize(examples);
    const auto share = std::llround(options.held_out * static_cast<double>(count));
    const auto held_out = count < 2 ? 0 : std::clamp<int64_t>(share, 1, count - 1);
    parts.held_out.insert(parts.held_out.end(), examples.begin(), examples.begin() + held_out);
    parts.learned.insert(parts.learned.end(), examples.begin() + held_out, examples.end());
  }
  if (parts.held_out.empty()) {
    throw InputError(name + ": labels",
                     "a class with two examples, one to choose the learning rate on (or one of "
                     "--learning-rates)",
                     "none");
  }
  std::sort(parts.held_out.begin(), parts.held_out.end());
  std::sort(parts.learned.begin(), parts.learned.end());
  return parts;
}

/// The training examples as evaluation sees them, and augmented.
using ExampleViews = std::vector<Examples>;

ExampleViews views_at(const ExampleViews& views, const std::vector<int64_t>& places) {
  ExampleViews chosen;
  for (const auto& view : views) {
    chosen.push_back(view.at(places));
  }
  return chosen;
}

/// The examples of one batch after the other, pass after pass over the training examples, each of
/// the next view.
class ProbeBatches {
 public:
  ProbeBatches(const ExampleViews& views, const LinearProbeOptions& options)
      : views_(views),
        sampler_(to_numbers(views.front().labels), options.sampling.sampling,
                 stream_key(static_cast<uint64_t>(options.seed), "probe batches")),
        size_(options.probe_batch_size) {}

  Examples next() {
    std::vector<torch::Tensor> features;
    std::vector<torch::Tensor> labels;
    for (int64_t missing = size_; missing > 0;) {
      if (next_ == order_.size()) {
        order_ = sampler_.order(++pass_);
        next_ = 0;
      }
      std::vector<int64_t> places;
      for (; missing > 0 && next_ < order_.size(); --missing) {
        places.push_back(order_[next_++].index);
      }
      const auto part = views_[static_cast<size_t>(pass_ % std::ssize(views_))].at(places);
      features.push_back(part.features);
      labels.push_back(part.labels);
    }
    return {.features = torch::cat(features), .labels = torch::cat(labels)};
  }

 private:
  const ExampleViews& views_;
  ClassSampler sampler_;
  int64_t size_;
  int64_t pass_ = -1;
  std::vector<SampledImage> order_;
  size_t next_ = 0;
};

LinearHeads train_heads(const ExampleViews& examples, int64_t num_classes,
                        const std::vector<double>& rates, const LinearProbeOptions& options,
                        const ProbeRun& run, const std::string& label) {
  LinearHeads heads(examples.front().features.size(1), num_classes, rates, options.seed,
                    run.device);
  ProbeBatches batches(examples, options);
  const double scale = static_cast<double>(options.probe_batch_size) / kScaledBatch;
  const int64_t updates = options.updates();
  Progress progress(label, updates, "updates");
  for (int64_t done = 0; done < updates; ++done) {
    if (run.before_update) {
      run.before_update();
    }
    const double turn = static_cast<double>(done) / static_cast<double>(updates);
    const auto batch = batches.next();
    heads.update(batch.features, batch.labels,
                 scale * 0.5 * (1.0 + std::cos(std::numbers::pi * turn)));
    progress.update(done + 1);
  }
  progress.finish();
  return heads;
}

/// How each of the heads does on `examples`.
std::vector<ProbeCandidate> candidates(const LinearHeads& heads, const Examples& examples,
                                       const std::vector<double>& rates) {
  const auto count = examples.labels.size(0);
  auto sums = torch::zeros({2, std::ssize(rates)}, torch::kFloat64);  // [right and loss, heads]
  for (int64_t first = 0; first < count; first += kTestBatch) {
    const auto logits = heads.logits(examples.features.slice(0, first, first + kTestBatch));
    const auto labels = examples.labels.slice(0, first, first + kTestBatch);  // [batch]
    const auto right = logits.argmax(/*dim=*/2).eq(labels.unsqueeze(1));      // [batch, heads]
    const auto own = labels.view({-1, 1, 1}).expand({labels.size(0), std::ssize(rates), 1});
    const auto losses = logits.logsumexp(/*dim=*/2) -  // [batch, heads]
                        logits.gather(/*dim=*/2, own).squeeze(2);
    sums += torch::stack({right.sum(0).to(torch::kFloat64), losses.to(torch::kFloat64).sum(0)})
                .cpu();  // [right and loss, heads]
  }
  const auto means = sums / static_cast<double>(count);  // [right and loss, heads]
  std::vector<ProbeCandidate> result;
  for (int64_t head = 0; head < std::ssize(rates); ++head) {
    result.push_back({.learning_rate = rates[static_cast<size_t>(head)],
                      .top1 = means[0][head].item<double>(),
                      .loss = means[1][head].item<double>()});
  }
  return result;
}

/// The learning rate of the best accuracy, of equal ones that of the lowest loss.
double best_rate(const std::vector<ProbeCandidate>& candidates) {
  const ProbeCandidate* best = nullptr;
  for (const auto& candidate : candidates) {
    if (std::isfinite(candidate.loss) &&
        (best == nullptr || candidate.top1 > best->top1 ||
         (candidate.top1 == best->top1 && candidate.loss < best->loss))) {
      best = &candidate;
    }
  }
  if (best == nullptr) {
    throw InputError("learning-rates", "one that does not diverge on these features", "none");
  }
  return best->learning_rate;
}

/// Logs if the choice is at an end of the learning rates, so that a better one may lie beyond.
void note_end_of_grid(double chosen, const std::vector<double>& rates) {
  const auto [smallest, largest] = std::minmax_element(rates.begin(), rates.end());
  if (chosen == *largest || chosen == *smallest) {
    log_line(fmt::format("{:g} is the {} of --learning-rates; others may be better", chosen,
                         chosen == *largest ? "largest" : "smallest"));
  }
}

ClassificationResult test_head(const LinearHeads& heads, const Examples& examples,
                               int64_t num_classes) {
  ClassificationMetrics metrics(num_classes);
  for (int64_t first = 0; first < examples.labels.size(0); first += kTestBatch) {
    const auto logits = heads.logits(examples.features.slice(0, first, first + kTestBatch));
    metrics.add(logits.squeeze(1), examples.labels.slice(0, first, first + kTestBatch).cpu());
  }
  return metrics.result();
}

int64_t count_classes(const SplitFeatures& features) {
  const auto largest = features.train.labels.max().item<int64_t>();
  const auto classes = std::max<int64_t>(std::ssize(features.class_names), largest + 1);
  const auto label = features.test.labels.max().item<int64_t>();
  if (label >= classes) {
    throw InputError(features.test.name + ": labels",
                     fmt::format("classes 0 to {} of {}", classes - 1, features.train.name),
                     std::to_string(label));
  }
  return classes;
}

Examples on_device(const FeatureSet& set, const torch::Device& device) {
  return {.features = set.features.to(device, torch::kFloat32), .labels = set.labels.to(device)};
}

ExampleViews training_views(const SplitFeatures& features, const torch::Device& device) {
  ExampleViews views{on_device(features.train, device)};
  for (const auto& view : features.views) {
    TORCH_CHECK_VALUE(view.sizes() == features.train.features.sizes(), "a view ", view.sizes(),
                      " of features ", features.train.features.sizes());
    views.push_back({.features = view.to(device, torch::kFloat32), .labels = views.front().labels});
  }
  return views;
}

}  // namespace

LinearProbeResult linear_probe(const SplitFeatures& features, const LinearProbeOptions& options,
                               const ProbeRun& run) {
  validate(options);
  check_features(features.train, features.test);
  const torch::NoGradGuard no_grad;
  const auto views = training_views(features, run.device);
  const auto& train = views.front();
  LinearProbeResult result{.name = features.name,
                           .dim = train.features.size(1),
                           .classes = count_classes(features),
                           .train_examples = train.labels.size(0),
                           .learning_rate = options.learning_rates.front(),
                           .updates = options.updates()};
  if (options.learning_rates.size() > 1) {
    const auto parts =
        hold_out_examples(to_numbers(train.labels), result.classes, options, features.train.name);
    const auto heads =
        train_heads(views_at(views, parts.learned), result.classes, options.learning_rates, options,
                    run, "Probe " + result.name + ": choice of the learning rate");
    result.held_out_examples = std::ssize(parts.held_out);
    result.candidates = candidates(heads, train.at(parts.held_out), options.learning_rates);
    result.learning_rate = best_rate(result.candidates);
    note_end_of_grid(result.learning_rate, options.learning_rates);
  }
  const auto head = train_heads(views, result.classes, {result.learning_rate}, options, run,
                                "Probe " + result.name);
  result.test = test_head(head, on_device(features.test, run.device), result.classes);
  result.weight = head.weight(0).cpu();  // [classes, dim]
  result.bias = head.bias(0).cpu();      // [classes]
  return result;
}

Json to_json(const LinearProbeResult& result) {
  Json selection = Json::array();
  for (const auto& candidate : result.candidates) {
    const bool diverged = !std::isfinite(candidate.loss);
    selection.push_back({{"learning_rate", candidate.learning_rate},
                         {"top1", candidate.top1},
                         {"loss", diverged ? Json() : Json(candidate.loss)}});
  }
  Json json{{"name", result.name},
            {"dim", result.dim},
            {"num_classes", result.classes},
            {"train_examples", result.train_examples},
            {"held_out_examples", result.held_out_examples},
            {"learning_rate", result.learning_rate},
            {"updates", result.updates},
            {"selection", std::move(selection)}};
  json.update(to_json(result.test));
  return json;
}

}  // namespace softmoe

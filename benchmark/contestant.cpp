#include "benchmark/contestant.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "core/error.h"
#include "ops/compute_precision.h"
#include "runtime/device.h"
#include "runtime/memory/memory_limit.h"
#include "runtime/memory/memory_use.h"

namespace softmoe {
namespace {

constexpr int64_t kMaxIterations = 10000;

}  // namespace

std::string describe_case(const ThroughputSubject& subject, const ThroughputSetting& setting) {
  return fmt::format("{}, {} in {}", subject.name, enum_name(setting.mode),
                     enum_name(setting.precision));
}

std::string describe_case(const ThroughputSubject& subject, const ThroughputSetting& setting,
                          int64_t batch) {
  return fmt::format("{}, batch size {}", describe_case(subject, setting), batch);
}

Contestant::Contestant(const ThroughputSubject& subject, const ThroughputSetting& setting)
    : subject_(&subject), setting_(setting), memory_before_(memory_in_use_bytes(setting.device)) {
  within_memory(describe_case(subject, setting), [this] {
    model_ = subject_->make(setting_.mode, setting_.precision, setting_.device);
  });
}

void Contestant::warm_up() {
  case_ = describe_case(*subject_, setting_, 1);
  within_memory(case_, [this] {
    make_inputs(1);
    run();
  });
  resident_bytes_ = memory_in_use_bytes(setting_.device) - memory_before_;
}

double Contestant::start(int64_t batch, double round_seconds) {
  double seconds = 0;
  case_ = describe_case(*subject_, setting_, batch);
  within_memory(case_, [&] {
    make_inputs(batch);
    // Here and not in the rounds: a count from the beginning gives back memory that is kept from
    // run to run, which would cost the first run of each round its time.
    reset_peak_memory(setting_.device);
    check(run());
    peak_memory_ = peak_memory_bytes(setting_.device);
    seconds = timed(1);
    iterations_ = std::clamp(static_cast<int64_t>(std::ceil(round_seconds / seconds)), int64_t{1},
                             kMaxIterations);
  });
  record_ = {.model = subject_->name,
             .mode = setting_.mode,
             .batch_size = batch,
             .precision = setting_.precision,
             .device = setting_.device.str(),
             .parameters = subject_->parameters,
             .gflop = subject_->gflop * passes_of(setting_.mode),
             .iterations = iterations_};
  return seconds;
}

double Contestant::run_round() {
  double seconds = 0;
  within_memory(case_, [&] { seconds = timed(iterations_); });
  const auto images = static_cast<double>(iterations_ * record_.batch_size);
  record_.images_per_second.push_back(images / seconds);
  return seconds;
}

ThroughputRecord Contestant::record(int64_t bytes_of_others) const {
  auto record = record_;
  record.peak_memory_bytes = peak_memory_ - bytes_of_others;
  return record;
}

void Contestant::make_inputs(int64_t batch) {
  std::vector<int64_t> shape{batch};
  shape.insert(shape.end(), subject_->image_shape.begin(), subject_->image_shape.end());
  const auto dtype =
      setting_.mode == ThroughputMode::kTrain ? torch::kFloat32 : tensor_dtype(setting_.precision);
  images_ = torch::rand(shape).mul(2).sub(1).to(setting_.device, dtype);
  labels_ = torch::randint(std::max<int64_t>(1, subject_->outputs), {batch}, torch::kInt64)
                .to(setting_.device);
}

torch::Tensor Contestant::run() {
  if (setting_.mode == ThroughputMode::kTrain) {
    return model_.train(images_, labels_);
  }
  const c10::InferenceMode inference;
  return model_.infer(images_);
}

void Contestant::check(const torch::Tensor& output) const {
  if (setting_.mode == ThroughputMode::kInfer) {
    const std::vector<int64_t> expected{images_.size(0), subject_->outputs};
    TORCH_CHECK_VALUE(output.sizes() == expected, case_, ": expected outputs ",
                      at::IntArrayRef(expected), ", found ", output.sizes());
  }
  if (!output.isfinite().all().item<bool>()) {
    throw InputError(case_, "finite outputs", "NaN or infinity");
  }
}

double Contestant::timed(int64_t iterations) {
  synchronize(setting_.device);
  const auto start = std::chrono::steady_clock::now();
  for (int64_t i = 0; i < iterations; ++i) {
    run();
  }
  synchronize(setting_.device);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace softmoe

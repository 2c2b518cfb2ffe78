#include "benchmark/throughput.h"

#include <gmock/gmock.h>

#include <cmath>

#include "core/error.h"
#include "ops/compute_precision.h"
#include "runtime/device.h"
#include "runtime/memory/memory_use.h"

namespace softmoe {
namespace {

/// A linear map of known size that notes when it was made, run and freed.
ThroughputSubject linear_subject(const std::string& name, std::vector<std::string>* log = nullptr) {
  constexpr int64_t kOutputs = 5;
  constexpr int64_t kPixels = 3 * 4 * 6;
  ThroughputSubject subject{.name = name,
                            .image_shape = {3, 4, 6},
                            .outputs = kOutputs,
                            .parameters = kOutputs * kPixels,
                            .gflop = 2.0 * kOutputs * kPixels / 1e9};
  subject.make = [name, log](ThroughputMode mode, Precision precision,
                             const torch::Device& device) -> RunningModel {
    const bool training = mode == ThroughputMode::kTrain;
    auto weight = torch::ones({kOutputs, kPixels}, torch::kFloat32)
                      .to(device, training ? torch::kFloat32 : tensor_dtype(precision));
    const auto note = [name, log](const std::string& what) {
      if (log != nullptr && (log->empty() || log->back() != what + " " + name)) {
        log->push_back(what + " " + name);
      }
    };
    note("make");
    if (training) {
      weight.requires_grad_();
      return {.train = [weight, note](const torch::Tensor& images, const torch::Tensor& labels) {
        note("train");
        EXPECT_EQ(images.scalar_type(), torch::kFloat32);
        const auto loss =
            torch::nll_loss(images.flatten(1).matmul(weight.t()).log_softmax(1), labels);
        loss.backward();
        return loss.detach();
      }};
    }
    return {.infer = [weight, note](const torch::Tensor& images) {
      note("infer");
      EXPECT_EQ(images.scalar_type(), weight.scalar_type());
      return images.flatten(1).matmul(weight.t());
    }};
  };
  return subject;
}

double fixed_peak(const torch::Device& /*device*/, torch::Dtype /*dtype*/) { return 1e6; }

ThroughputOptions quick(std::vector<int64_t> batch_sizes) {
  return {.batch_sizes = std::move(batch_sizes),
          .dtypes = {"float32"},
          .rounds = 3,
          .round_seconds = 0};
}

std::string error_of(const std::vector<ThroughputSubject>& subjects,
                     const ThroughputOptions& options) {
  try {
    measure_throughput(subjects, options, torch::kCPU, fixed_peak);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

TEST(Throughput, ModelsTakeTurnsInEveryRound) {
  std::vector<std::string> log;
  const std::vector<ThroughputSubject> subjects{linear_subject("a", &log),
                                                linear_subject("b", &log)};
  measure_throughput(subjects, quick({2}), torch::kCPU, fixed_peak);
  EXPECT_EQ(log, (std::vector<std::string>{"make a", "infer a", "make b", "infer b", "infer a",
                                           "infer b", "infer a", "infer b", "infer a", "infer b",
                                           "infer a", "infer b"}));
}

TEST(Throughput, EachModelModeBatchAndDtypeHasItsRecord) {
  auto options = quick({2, 7});
  options.mode = ThroughputMode::kBoth;
  options.dtypes = {"float32", "bfloat16"};
  for (const auto& device : present_devices()) {
    const std::vector<ThroughputSubject> subjects{linear_subject("a"), linear_subject("b"),
                                                  linear_subject("c")};
    const auto records = measure_throughput(subjects, options, device, fixed_peak).records;
    ASSERT_EQ(records.size(), 3U * 2 * 2 * 2);
    for (const auto& record : records) {
      EXPECT_EQ(record.images_per_second.size(), 3U);
      EXPECT_TRUE(record.interleaved);
      EXPECT_GT(record.rate().minimum, 0);
      EXPECT_LE(record.rate().minimum, record.rate().median);
      EXPECT_LE(record.rate().median, record.rate().maximum);
      EXPECT_GT(record.peak_memory_bytes, 0);
      EXPECT_GT(record.matmul_share(), 0);
      EXPECT_EQ(record.matmul_peak_gflops, 1e6);
      ASSERT_TRUE(record.ratio.has_value());
      if (record.model == "a") {
        EXPECT_EQ(*record.ratio, 1.0);
      }
      const double passes = record.mode == ThroughputMode::kTrain ? 3 : 1;
      EXPECT_EQ(record.gflop, passes * subjects[0].gflop);
    }
    EXPECT_EQ(records.back().model, "c");
    EXPECT_EQ(records.back().mode, ThroughputMode::kTrain);
    EXPECT_EQ(records.back().batch_size, 7);
    EXPECT_EQ(records.back().precision, Precision::kBFloat16);
  }
}

TEST(Throughput, ModelsThatDoNotFitTogetherRunOneByOne) {
  std::vector<std::string> log;
  std::vector<ThroughputSubject> subjects{linear_subject("a", &log), linear_subject("b", &log)};
  for (auto& subject : subjects) {
    subject.parameters = available_memory_bytes(torch::kCPU) / 10 * 6 / 4;  // float32
  }
  const auto records = measure_throughput(subjects, quick({2, 3}), torch::kCPU, fixed_peak).records;
  EXPECT_EQ(log, (std::vector<std::string>{"make a", "infer a", "make b", "infer b"}));
  ASSERT_EQ(records.size(), 4U);
  for (const auto& record : records) {
    EXPECT_FALSE(record.interleaved);
    EXPECT_TRUE(record.ratio.has_value());
  }
}

TEST(Throughput, MemoryOfAModelLeavesOutTheOthers) {
  constexpr int64_t kHeldBytes = int64_t{200} << 20;
  auto large = linear_subject("large");
  large.make = [](ThroughputMode, Precision, const torch::Device& device) -> RunningModel {
    const auto held = torch::ones({kHeldBytes}, torch::dtype(torch::kUInt8).device(device));
    return {.infer = [held](const torch::Tensor& images) {
      return torch::zeros({images.size(0), 5}, images.options());
    }};
  };
  for (const auto& device : present_devices()) {
    const std::vector<ThroughputSubject> subjects{linear_subject("a"), large, linear_subject("b")};
    const auto records = measure_throughput(subjects, quick({2}), device, fixed_peak).records;
    for (const size_t small : {0, 2}) {
      const auto difference = records[1].peak_memory_bytes - records[small].peak_memory_bytes;
      EXPECT_GT(difference, kHeldBytes * 3 / 4) << device;
      EXPECT_LT(difference, kHeldBytes * 5 / 4) << device;
    }
  }
}

TEST(Throughput, TooLittleMemoryIsAnErrorThatNamesModelAndBatch) {
  auto subject = linear_subject("a");
  subject.make = [](ThroughputMode, Precision, const torch::Device&) -> RunningModel {
    return {.infer = [](const torch::Tensor& images) {
      if (images.size(0) > 4) {
        torch::empty({int64_t{1} << 50}, torch::kFloat32);
      }
      return torch::zeros({images.size(0), 5});
    }};
  };
  const auto message = error_of({subject}, quick({2, 9}));
  EXPECT_THAT(message, testing::StartsWith(
                           "a, infer in float32, batch size 9: expected enough memory, found "));
  EXPECT_THAT(message, testing::Not(testing::AnyOf(testing::HasSubstr("\n"),
                                                   testing::HasSubstr("frame #"))));

  auto huge = linear_subject("huge");
  huge.parameters = int64_t{1} << 50;
  EXPECT_THAT(error_of({linear_subject("a"), huge}, quick({2})),
              testing::AllOf(testing::StartsWith("huge, infer in float32: expected at most the "),
                             testing::EndsWith("found 4504 TB of weights")));
}

TEST(Throughput, OutputsAreCheckedBeforeTheyAreTimed) {
  auto broken = linear_subject("broken");
  broken.make = [](ThroughputMode, Precision, const torch::Device&) -> RunningModel {
    return {.infer = [](const torch::Tensor& images) {
      return torch::full({images.size(0), 5}, NAN);
    }};
  };
  EXPECT_EQ(error_of({broken}, quick({3})),
            "broken, infer in float32, batch size 3: expected finite outputs, found NaN or "
            "infinity");
  auto narrow = linear_subject("narrow");
  narrow.outputs = 6;
  EXPECT_THROW(measure_throughput(std::vector{narrow}, quick({3}), torch::kCPU, fixed_peak),
               c10::ValueError);
}

TEST(Throughput, BaselineMustBeAmongTheModels) {
  auto options = quick({2});
  options.baseline = "b";
  const auto records = measure_throughput(std::vector{linear_subject("a"), linear_subject("b")},
                                          options, torch::kCPU, fixed_peak)
                           .records;
  EXPECT_EQ(records[1].ratio, 1.0);
  options.baseline = "vit_x";
  EXPECT_EQ(error_of({linear_subject("a")}, options),
            "baseline: expected one of the models, found 'vit_x'");
}

TEST(Throughput, IntegersAreForInferenceAlone) {
  auto options = quick({2});
  options.dtypes = {"int8_experts"};
  const auto records =
      measure_throughput(std::vector{linear_subject("a")}, options, torch::kCPU, fixed_peak)
          .records;
  EXPECT_EQ(records[0].precision, Precision::kInt8Experts);
  options.mode = ThroughputMode::kTrain;
  EXPECT_EQ(error_of({linear_subject("a")}, options),
            "dtypes: expected floating point for training, found int8_experts");
}

TEST(Throughput, BytesAreComparedWithThePeakOfBytes) {
  auto options = quick({2});
  options.dtypes = {"int8", "bfloat16", "int8_experts"};
  std::vector<torch::Dtype> measured;
  const auto records = measure_throughput(std::vector{linear_subject("a")}, options, torch::kCPU,
                                          [&measured](const torch::Device&, torch::Dtype dtype) {
                                            measured.push_back(dtype);
                                            return dtype == torch::kInt8 ? 2e6 : 1e6;
                                          })
                           .records;
  EXPECT_EQ(measured, (std::vector<torch::Dtype>{torch::kInt8, torch::kBFloat16}));
  EXPECT_EQ(records[0].matmul_peak_gflops, 2e6);
  EXPECT_EQ(records[1].matmul_peak_gflops, 1e6);
  EXPECT_EQ(records[2].matmul_peak_gflops, 1e6);
}

TEST(Throughput, AutoIsTheFastestPrecision) {
  auto options = quick({2});
  options.dtypes = {"auto", enum_name(fastest_precision(torch::kCPU))};
  const auto records =
      measure_throughput(std::vector{linear_subject("a")}, options, torch::kCPU, fixed_peak)
          .records;
  ASSERT_EQ(records.size(), 1U);
  EXPECT_EQ(records[0].precision, fastest_precision(torch::kCPU));
}

TEST(Throughput, AModelThatIsFasterThanThePeakIsThePeak) {
  auto options = quick({2, 7});
  options.dtypes = {"float32", "bfloat16"};
  const auto records = measure_throughput(std::vector{linear_subject("a"), linear_subject("b")},
                                          options, torch::kCPU,
                                          [](const torch::Device&, torch::Dtype dtype) {
                                            return dtype == torch::kFloat32 ? 1e-9 : 1e6;
                                          })
                           .records;
  double fastest = 0;
  for (const auto& record : records) {
    if (record.precision == Precision::kFloat32) {
      fastest = std::max(fastest, record.rate().maximum * record.gflop);
    }
    EXPECT_LE(record.matmul_share(), 1);
  }
  EXPECT_EQ(records.front().matmul_peak_gflops, fastest);
  EXPECT_EQ(records.back().matmul_peak_gflops, 1e6);
}

TEST(Throughput, LeavesOutWhatIsTooMuchForTheMachine) {
  auto slow = linear_subject("slow");
  slow.gflop = 1e6;  // one second at the peak
  auto huge = linear_subject("huge");
  huge.parameters = int64_t{1} << 50;
  const std::vector<ThroughputSubject> subjects{slow, linear_subject("a"), huge};
  auto options = quick({1, 3});
  options.max_batch_seconds = 1.5;
  const auto results = measure_throughput(subjects, options, torch::kCPU, fixed_peak);
  std::vector<std::pair<std::string, int64_t>> measured;
  for (const auto& record : results.records) {
    measured.emplace_back(record.model, record.batch_size);
    EXPECT_EQ(record.ratio.has_value(), record.batch_size == 1) << record.model;
  }
  using testing::ElementsAre;
  using testing::Pair;
  EXPECT_THAT(measured, ElementsAre(Pair("slow", 1), Pair("a", 1), Pair("a", 3)));
  EXPECT_EQ(left_out_text(results.left_out),
            "Left out: slow, infer in float32, batch size 3: one batch takes 3.0 s at the matmul "
            "peak\n"
            "Left out: huge, infer in float32, batch size 1: 4504 TB of weights exceed the memory\n"
            "Left out: huge, infer in float32, batch size 3: 4504 TB of weights exceed the "
            "memory\n");
}

TEST(Throughput, ATrainingStepTakesLongerThanABatchOfInference) {
  auto subject = linear_subject("a");
  subject.gflop = 1e6;
  auto options = quick({1});
  options.mode = ThroughputMode::kBoth;
  options.max_batch_seconds = 2;
  const auto results = measure_throughput(std::vector{subject}, options, torch::kCPU, fixed_peak);
  ASSERT_EQ(results.records.size(), 1U);
  EXPECT_EQ(results.records[0].mode, ThroughputMode::kInfer);
  ASSERT_EQ(results.left_out.size(), 1U);
  EXPECT_EQ(to_json(results.left_out[0]).at("mode"), "train");
}

}  // namespace
}  // namespace softmoe

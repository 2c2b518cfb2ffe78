#pragma once
/// The contents of a report: results of other commands, read from their files.

#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "core/options.h"

namespace softmoe::report {

inline constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();

/// How a result was made.
struct Provenance {
  std::string label;
  std::string path{};
  std::string command{};                 ///< "train", "fewshot", ..
  std::vector<std::string> arguments{};  ///< after the command, if they are known
  Json machine{};                        ///< null if the file has none
  Json options{};                        ///< resolved
};

/// One value of a run.
struct CurvePoint {
  double step = 0.0;
  double seconds = kMissing;  ///< of training up to this point
  double value = kMissing;
};

using Curve = std::vector<CurvePoint>;

/// One run folder.
struct TrainingRun {
  std::string label;
  std::string model{};
  std::string data_set{};
  bool finetuned = false;  ///< started from a checkpoint
  Curve train_loss{};
  Curve eval_loss{};
  Curve eval_top1{};  ///< shares in [0, 1]
  double steps = kMissing;
  double seconds = kMissing;  ///< of training, without evaluation
  double images_per_second = kMissing;
  double parameters = kMissing;
  double gflop = kMissing;  ///< of one image, forward
};

/// The accuracy at one number of shots.
struct FewShotPoint {
  int64_t shots = 0;
  double lambda = kMissing;
  double accuracy = kMissing;   ///< mean over the seeds, in [0, 1]
  double deviation = kMissing;  ///< standard deviation over the seeds
};

/// One feature source on one data set.
struct FewShotCurve {
  std::string label{};
  std::string data_set{};
  bool lambda_selected_on_test = false;
  std::vector<FewShotPoint> points{};
};

/// The accuracy of a classifier of frozen features that saw all training images.
struct ProbeScore {
  std::string label{};  ///< of the features
  std::string data_set{};
  std::string method{};        ///< "linear", "20-NN"
  double examples = kMissing;  ///< test images
  double top1 = kMissing;      ///< in [0, 1]
  double top5 = kMissing;      ///< in [0, 1]
};

/// Median and ends over the rounds of a benchmark.
struct Measured {
  double median = kMissing;
  double minimum = kMissing;
  double maximum = kMissing;
};

/// One model, mode, batch size and dtype.
struct ThroughputResult {
  std::string model{};
  std::string label{};  ///< name on the page; empty: `model`
  std::string mode{};
  std::string dtype{};
  int64_t batch_size = 0;
  Measured images_per_second{};
  double milliseconds_per_image = kMissing;
  double gflop = kMissing;  ///< of one image
  double matmul_share = kMissing;
  double ratio = kMissing;  ///< of img/s to the baseline's
  double parameters = kMissing;
  double peak_memory_bytes = kMissing;
  bool interleaved = true;

  const std::string& name() const { return label.empty() ? model : label; }
};

/// A model at a batch size that was too much for the machine.
struct LeftOutThroughput {
  std::string name{};
  std::string mode{};
  std::string dtype{};
  int64_t batch_size = 0;
  std::string reason{};
};

/// One evaluation on a labelled set.
struct EvalScore {
  std::string label{};
  std::string data_set{};
  double examples = kMissing;
  double top1 = kMissing;
  double top5 = kMissing;
  double loss = kMissing;
  double calibration_error = kMissing;
  double mean_average_precision = kMissing;  ///< of a multi-label set
  /// Mean confidence and accuracy of predictions of about equal confidence, and their number.
  struct ConfidenceBin {
    double confidence = kMissing;
    double accuracy = kMissing;
    double examples = 0.0;
  };
  std::vector<ConfidenceBin> calibration{};
  /// By the name of the class: accuracy, or average precision of a multi-label set.
  std::vector<std::pair<std::string, double>> class_accuracy{};
};

/// The labels that a model gives one image.
struct Prediction {
  struct Guess {
    std::string label;
    double probability = kMissing;
  };
  std::string label{};  ///< of the result file
  std::string image{};  ///< path as given to the command
  std::vector<Guess> guesses{};
};

/// The dispatch maps of a model: a drawing and the numbers of each layer.
struct DispatchMaps {
  struct Sheet {
    std::string file;  ///< path that exists
    std::string title{};
    std::string caption{};
  };
  std::string label{};
  std::vector<Sheet> sheets{};
  /// The statistics of each MoE layer by name, with the number of its block.
  std::vector<std::map<std::string, double>> layers{};
};

/// All results, in the order of the command line.
struct Results {
  std::vector<TrainingRun> runs{};
  std::vector<FewShotCurve> few_shot{};
  std::vector<ProbeScore> probes{};
  std::vector<ThroughputResult> throughput{};
  std::vector<LeftOutThroughput> left_out{};
  std::vector<EvalScore> evaluations{};
  std::vector<DispatchMaps> dispatch_maps{};
  std::vector<Prediction> predictions{};
  std::vector<Provenance> provenance{};
};

}  // namespace softmoe::report

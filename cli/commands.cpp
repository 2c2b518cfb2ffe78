#include "cli/commands.h"

#include <array>

namespace softmoe::cli {
namespace {

constexpr std::array kRows{
    CommandRow{"train", "train a model from scratch; started again, it resumes", run_train},
    CommandRow{"finetune", "train a checkpoint on another data set", run_finetune},
    CommandRow{"upcycle", "make a MoE model of a dense checkpoint, to train on", run_upcycle},
    CommandRow{"prune", "fewer experts, or a dense model, from a MoE checkpoint", run_prune},
    CommandRow{"convert", "weights of timm, Hugging Face, big_vision and vmoe in and out",
               run_convert},
    CommandRow{"eval", "accuracy and calibration of a checkpoint on a labelled set", run_eval},
    CommandRow{"fewshot", "few-shot ridge probes on frozen features", run_fewshot},
    CommandRow{"predict", "labels, logits or features of images", run_predict},
    CommandRow{"export", "a model as ONNX or safetensors, for other programs", run_export},
    CommandRow{"inspect", "where the slots or experts of a model look, over images", run_inspect},
    CommandRow{"benchmark", "throughput of models side by side", run_benchmark},
    CommandRow{"models", "the zoo with parameters and GFLOP", run_models},
    CommandRow{"data", "describe, verify, pack and show data sets", run_data},
    CommandRow{"sweep", "a grid of runs with a table and a plot of their results", run_sweep},
    CommandRow{"report", "one HTML page of tables and plots from results", run_report},
};

}  // namespace

std::span<const CommandRow> command_rows() { return kRows; }

}  // namespace softmoe::cli

#include "cli/commands.h"

#include <array>

namespace softmoe::cli {
namespace {

constexpr std::array kRows{
    CommandRow{"train", "train a model from scratch; started again, it resumes", run_train,
               /*is_parallel=*/true},
    CommandRow{"finetune", "train a checkpoint on another data set", run_finetune,
               /*is_parallel=*/true},
    CommandRow{"launch", "run train or finetune in several processes on this machine", run_launch},
    CommandRow{"distill", "train a model to give what larger models give", run_distill},
    CommandRow{"tune", "train a model to follow instructions about images, on many tasks",
               run_tune},
    CommandRow{"upcycle", "turn a dense checkpoint into a MoE model, to be trained further",
               run_upcycle},
    CommandRow{"prune", "reduce a MoE checkpoint to fewer experts, or to a dense model", run_prune},
    CommandRow{"average", "average the weights of checkpoints, all or those that help",
               run_average},
    CommandRow{"convert", "convert weights from and to timm, Hugging Face, big_vision and vmoe",
               run_convert},
    CommandRow{"eval", "measure accuracy and calibration of a checkpoint on a labelled set",
               run_eval},
    CommandRow{"fewshot", "evaluate frozen features by few-shot ridge probes", run_fewshot},
    CommandRow{"knn", "evaluate frozen features by their nearest neighbours", run_knn},
    CommandRow{"probe", "evaluate frozen features by a linear classifier, and give it to the model",
               run_probe},
    CommandRow{"zeroshot", "classify and retrieve images by texts, without training on them",
               run_zeroshot},
    CommandRow{"predict", "give labels, logits or features of images", run_predict},
    CommandRow{"export", "write a model as ONNX or safetensors, for other programs", run_export},
    CommandRow{"inspect", "show which patches of images the slots or experts of a model get",
               run_inspect},
    CommandRow{"benchmark", "measure the throughput of models side by side", run_benchmark},
    CommandRow{"models", "list the zoo with parameters and GFLOP", run_models},
    CommandRow{"data", "describe, verify, pack and show data sets", run_data},
    CommandRow{"tokenizer", "learn, convert and try vocabularies of texts", run_tokenizer},
    CommandRow{"sweep", "run a grid of settings and seeds, with a table and a plot of the results",
               run_sweep},
    CommandRow{"report", "write one HTML page of tables and plots from results", run_report},
};

}  // namespace

std::span<const CommandRow> command_rows() { return kRows; }

}  // namespace softmoe::cli

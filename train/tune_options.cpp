#include "train/tune_options.h"

namespace softmoe {

void describe(OptionTable& table, TuneOptions& options) {
  table.add("tasks", options.tasks,
            "files of tasks (TOML), or sets that come along: shapes, characters, digits, "
            "fashion-mnist, stamps, clipart, or all of these whose data are on the machine",
            {.unit = "file"});
  table.add("held-out", options.held_out,
            "names of tasks or families that are evaluated but not trained");
  table.add("tasks-digest", options.tasks_digest,
            "what the digest of the tasks must be; a run writes it to its config",
            {.follows = "that of the tasks"});
  table.add("task-epoch", options.epoch_samples, "questions that count as one epoch",
            {.unit = "questions", .min = 1, .max = 1e9});
  table.add("task-val", options.val_samples, "questions of each task in an evaluation",
            {.unit = "questions", .min = 1, .max = 1e7});
  describe(table, options.mixture);
  table.add("open-answers", options.open_answers,
            "right answers of other questions that a question of training may not be answered by, "
            "beside its own wrong ones: for asking without --answers",
            {.unit = "answers", .min = 0, .max = 1000});
  table.add("tokenizer", options.tokenizer,
            "bytes; bpe, which is learned from questions and answers, with --text-vocab-size "
            "entries; or a file (softmoe tokenizer)",
            {.unit = "file"});
  table.add("init", options.init,
            "a checkpoint to start from: all of a tuned model, with its vocabulary, or the image "
            "tower of another model; not given: random weights",
            {.unit = "file"});
}

}  // namespace softmoe

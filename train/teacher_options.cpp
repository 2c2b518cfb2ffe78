#include "train/teacher_options.h"

namespace softmoe {

void describe(OptionTable& table, TeacherOptions& options) {
  table.add("teacher", options.teachers,
            "the models to learn from, of any kind that softmoe convert reads; of several, the "
            "mean of their probabilities",
            {.unit = "file"});
  table.add("teacher-digest", options.digests,
            "what the digests of the teachers' weights must be; a run writes them to its config",
            {.follows = "those of the teachers"});
  table.add("teacher-dtype", options.dtype,
            "compute dtype of the teachers; auto: bfloat16 if the hardware has it; int8: weights "
            "and activations of 8 bits; int8_experts: bfloat16 with experts in 8 bits",
            {.choices = {"auto", "float32", "bfloat16", "int8", "int8_experts"}});
}

}  // namespace softmoe

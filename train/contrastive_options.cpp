#include "train/contrastive_options.h"

namespace softmoe {

void describe(OptionTable& table, ContrastiveOptions& options) {
  table.add("objective", options.objective,
            "what to learn from: the labels of images, or texts that belong to images "
            "(contrastive, with a --model such as siglip_vit_ti16)");
  table.add("contrastive-loss", options.loss,
            "loss of pairs of an image and a text: of SigLIP (sigmoid) or CLIP (softmax)");
  table.add("tokenizer", options.tokenizer,
            "bytes; bpe, which is learned from the training texts, with --text-vocab-size entries; "
            "or a file (softmoe tokenizer)",
            {.unit = "file"});
  table.add("caption-templates", options.templates,
            "texts about the labels in place of captions: default, or a file with a sentence per "
            "line with {} for the name of the class; not given: captions",
            {.unit = "file"});
  table.add("image-init", options.image_init,
            "a checkpoint whose shape and weights the image tower starts with; not given: random",
            {.unit = "file"});
  table.add("lock-image", options.lock_image,
            "the image tower stays as --image-init has it (LiT); without augmentation its features "
            "are computed once");
}

}  // namespace softmoe

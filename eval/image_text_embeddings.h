#pragma once
/// Embeddings of data sets and texts by a model of images and texts.

#include <torch/types.h>

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "eval/batch_loop.h"
#include "text/tokenizer.h"
#include "vit/image_text_model.h"

namespace softmoe {

/// Images of a data set that could be read, in its order.
struct EmbeddedImages {
  torch::Tensor embeddings;      ///< [images, dim] fp32, on the device of the model
  torch::Tensor labels;          ///< [images] int64, or [images, classes]
  std::vector<int64_t> indices;  ///< of the images in the set
};

/// The embeddings of the images of `loader`.
EmbeddedImages embed_images(ImageTextModel& model, Loader& loader, const BatchLoopOptions& options);

/// Checks that the ids of `tokenizer` are those of `model`. Throws InputError that starts with
/// `where`.
void check_vocabulary(const ImageTextModel& model, const Tokenizer& tokenizer,
                      const std::string& where);

/// The embeddings of `texts`, [texts, dim] fp32 on the device of the model, under autocast as
/// `options` say; its `label` is "Texts".
torch::Tensor embed_texts(ImageTextModel& model, const Tokenizer& tokenizer,
                          std::span<const std::string> texts, const BatchLoopOptions& options);

/// One embedding per class, [classes, dim] of length 1: the mean of the embeddings of all
/// `templates` filled with its text. Source: Radford et al., arXiv:2103.00020, section 3.1.4.
torch::Tensor class_embeddings(ImageTextModel& model, const Tokenizer& tokenizer,
                               const std::vector<std::string>& class_texts,
                               const std::vector<std::string>& templates,
                               const BatchLoopOptions& options);

}  // namespace softmoe

#pragma once
/// Embeddings of data sets and texts by a model of images and texts.

#include <torch/types.h>

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "eval/batch_loop.h"
#include "text/tokenizer.h"
#include "vit/image_text_options.h"

namespace softmoe {

/// What embeds images and texts: a model, or an engine that runs one.
struct ImageTextEncoder {
  TextOptions text_options;  ///< what texts are made into
  Forward image;             ///< embeddings [batch, dim] fp32 of length 1 of images
  /// Embeddings [batch, dim] fp32 of length 1 of texts as TextTowerImpl::forward() takes them.
  std::function<torch::Tensor(const torch::Tensor& ids, const torch::Tensor& lengths)> text;
  /// pair_logits() of embeddings of images and texts.
  std::function<torch::Tensor(const torch::Tensor& images, const torch::Tensor& texts)> logits;
};

/// The encoder of a model of `Model`'s functions encode_image(), encode_text() and logits(), which
/// must outlive it.
template <typename Model>
ImageTextEncoder encoder_of(Model& model) {
  return {
      .text_options = model.options().text,
      .image = [&model](const torch::Tensor& images) { return model.encode_image(images); },
      .text = [&model](const torch::Tensor& ids,
                       const torch::Tensor& lengths) { return model.encode_text(ids, lengths); },
      .logits = [&model](const torch::Tensor& images,
                         const torch::Tensor& texts) { return model.logits(images, texts); }};
}

/// Images of a data set that could be read, in its order.
struct EmbeddedImages {
  torch::Tensor embeddings;      ///< [images, dim] fp32, on the device of the model
  torch::Tensor labels;          ///< [images] int64, or [images, classes]
  std::vector<int64_t> indices;  ///< of the images in the set
};

/// The embeddings of the images of `loader`.
EmbeddedImages embed_images(const ImageTextEncoder& encoder, Loader& loader,
                            const BatchLoopOptions& options);

/// Checks that the ids of `tokenizer` are those of a text tower of `options`. Throws InputError
/// that starts with `where`.
void check_vocabulary(const TextOptions& options, const Tokenizer& tokenizer,
                      const std::string& where);

/// The embeddings of `texts`, [texts, dim] fp32 on the device of the model, under autocast as
/// `options` say; its `label` is "Texts".
torch::Tensor embed_texts(const ImageTextEncoder& encoder, const Tokenizer& tokenizer,
                          std::span<const std::string> texts, const BatchLoopOptions& options);

/// One embedding per class, [classes, dim] of length 1: the mean of the embeddings of all
/// `templates` filled with its text. Source: Radford et al., arXiv:2103.00020, section 3.1.4.
torch::Tensor class_embeddings(const ImageTextEncoder& encoder, const Tokenizer& tokenizer,
                               const std::vector<std::string>& class_texts,
                               const std::vector<std::string>& templates,
                               const BatchLoopOptions& options);

}  // namespace softmoe

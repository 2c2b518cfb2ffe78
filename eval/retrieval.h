#pragma once
/// How well the texts of images and the images of texts are found by their embeddings.

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "core/json_text.h"

namespace softmoe {

/// Texts of images, each different text once.
struct CaptionIndex {
  std::vector<std::string> texts;  ///< in the order in which they come first
  std::vector<int64_t> text_of;    ///< by image: index into `texts`

  /// The texts that `caption` gives for the images 0 to `images` - 1.
  static CaptionIndex of(int64_t images, const std::function<std::string(int64_t)>& caption);
};

/// Shares, in [0, 1], of queries with a match among the first k results, by k.
struct RetrievalResult {
  int64_t images = 0;
  int64_t texts = 0;
  std::map<int64_t, double> text_of_image;  ///< of each image, its text among the texts
  std::map<int64_t, double> image_of_text;  ///< of each text, one of its images among the images

  /// The mean of both shares for k.
  double mean(int64_t k) const;
};

/// Recall at 1, 5 and 10 of the embeddings `images` [images, dim] and `texts` [texts, dim], where
/// image i has the text `text_of[i]`. What is as similar as the match counts as before it, so that
/// constant embeddings find nothing. Similarities are computed for some rows at a time.
RetrievalResult retrieval(const torch::Tensor& images, const torch::Tensor& texts,
                          const std::vector<int64_t>& text_of);

/// "R@1 12.300 R@5 45.600 R@10 78.900 (texts of images), R@1 ... (images of texts)"
std::string recall_text(const RetrievalResult& result);

Json to_json(const RetrievalResult& result);

}  // namespace softmoe

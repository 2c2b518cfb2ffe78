#pragma once
/// The texts of training images, as tokens.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "datasets/dataset.h"
#include "datasets/loader.h"
#include "text/tokenizer.h"

namespace softmoe {

/// The captions of a data set, or sentences about its labels.
class CaptionTexts {
 public:
  /// Captions of `set` if `templates` are empty, else templates filled with the names of labels,
  /// one per image and use that `seed` draws. `set` must outlive the texts. Throws UsageError if
  /// the set has no captions, or no single labels.
  CaptionTexts(const Dataset& set, std::vector<std::string> templates, uint64_t seed);

  /// The text of image `index`; `use` is the number of the batch or any other that draws a
  /// template.
  std::string text(int64_t index, int64_t use) const;
  /// A number for image `index` that is equal for images of one class if texts are templates; else
  /// -1: texts that are equal belong together.
  int64_t group(int64_t index) const;

  /// Calls `use` with the texts that a vocabulary is learned from: all, of endless sets those of
  /// the first images, of templates all of all classes.
  void for_each(const std::function<void(const std::string& text)>& use) const;

  /// The templates, or "{}" alone for a set with captions: for asking after classes.
  std::vector<std::string> class_templates() const;

 private:
  const Dataset& set_;
  std::vector<std::string> templates_;
  std::vector<std::string> class_texts_;
  uint64_t seed_;
};

/// Fills Batch::token_ids, token_lengths and text_groups of training batch `number`, which stay on
/// the CPU, with at most `max_tokens` per text.
void add_texts(Batch& batch, int64_t number, const CaptionTexts& texts, const Tokenizer& tokenizer,
               int64_t max_tokens);

}  // namespace softmoe

#pragma once
/// Rendered characters: an endless set of distorted letters, each determined by its index.

#include <memory>

#include "core/rng.h"
#include "datasets/characters/alphabet.h"
#include "datasets/characters/character_options.h"
#include "datasets/dataset.h"
#include "datasets/splits.h"

namespace softmoe {

/// Letters of the fonts on this machine. The train split is endless: its image i comes from the
/// stream (seed, "characters/train", i). The val split has val_images images of another stream.
/// Images are gray, white on black, `size` x `size` pixels. The glyph's box, after all distortions,
/// fills fill_min to fill_max of the frame; blur and noise come after that.
class Characters : public Dataset {
 public:
  /// Throws UsageError for options that contradict each other, InputError if fonts are missing.
  Characters(const CharacterOptions& options, SplitKind split);

  int64_t size() const override;
  Sample get(int64_t index) const override;
  int64_t label(int64_t index) const override;
  const std::vector<std::string>& class_names() const override { return alphabet_->class_names(); }
  std::vector<std::string> class_texts() const override { return alphabet_->class_captions(); }
  bool has_captions() const override { return true; }
  /// The letter and the style of its face: "Devanagari letter KA, bold, slanted".
  std::string caption(int64_t index) const override;
  std::string sample_name(int64_t index) const override;
  bool endless() const override { return train_; }

  const Alphabet& alphabet() const { return *alphabet_; }

 private:
  /// A letter and one of its drawings.
  struct Drawing {
    int64_t label;
    int64_t number;
  };

  uint64_t key(int64_t index) const;
  bool is_held_out() const { return !train_ && !options_.val_fonts.empty(); }
  /// What image `index` shows; `rng` is that of its key.
  Drawing draw(Rng& rng) const;

  CharacterOptions options_;
  bool train_;
  std::shared_ptr<const Alphabet> alphabet_;
};

}  // namespace softmoe

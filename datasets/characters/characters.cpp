#include "datasets/characters/characters.h"

#include <c10/util/Exception.h>
#include <fmt/format.h>

#include "core/error.h"
#include "core/rng.h"
#include "datasets/characters/glyph_distortion.h"
#include "datasets/characters/scripts.h"

namespace softmoe {

void describe(OptionTable& table, CharacterOptions& options) {
  const double kSmall = 0.5;
  table.add("font-dir", options.font_dir, "folder of fonts besides /usr/share/fonts");
  table.add("char-val-fonts", options.val_fonts,
            "font files, by name, whose drawings the val split alone shows: letters are told apart "
            "in faces that training has not seen; none: both splits show all drawings");
  OptionLimits scripts{.choices = {"all"}};
  for (const auto& script : script_table()) {
    scripts.choices.emplace_back(script.name);
  }
  table.add("scripts", options.scripts, "scripts whose letters are rendered", scripts);
  table.add("char-digits", options.digits, "render the digits 0-9 too");
  table.add("min-faces", options.min_faces, "different drawings that make a letter a class",
            {.unit = "faces", .min = 1});
  table.add("char-size", options.size, "side of a rendered image",
            {.unit = "px", .min = 8, .max = 1024});
  table.add("char-epoch", options.epoch_images, "rendered images that count as one epoch",
            {.unit = "images", .min = 1});
  table.add("char-val", options.val_images, "rendered images of the val split",
            {.unit = "images", .min = 1});
  table.add("char-seed", options.seed, "seed of the rendered images", {.min = 0});
  table.add("char-fill-min", options.fill_min, "min share of the frame that the glyph's box fills",
            {.min = 0.1, .max = 1});
  table.add("char-fill-max", options.fill_max, "max share of the frame that the glyph's box fills",
            {.min = 0.1, .max = 1});
  table.add("char-rotation", options.rotation, "max rotation, in both directions",
            {.unit = "degrees", .min = 0, .max = 180});
  table.add("char-shear", options.shear, "max horizontal shift over height, in both directions",
            {.min = 0, .max = 1});
  table.add("char-stretch", options.stretch, "max change of the aspect ratio, in both directions",
            {.min = 0, .max = 1});
  table.add("char-elastic", options.elastic,
            "max shift of a control point of the elastic field, share of the glyph",
            {.min = 0, .max = kSmall});
  table.add("char-thinner", options.thinner, "max shift of the outline inwards, share of the glyph",
            {.min = 0, .max = kSmall});
  table.add("char-thicker", options.thicker,
            "max shift of the outline outwards, share of the glyph", {.min = 0, .max = kSmall});
  table.add("char-blur", options.blur, "max standard deviation of the blur, share of the frame",
            {.min = 0, .max = kSmall});
  table.add("char-noise", options.noise, "max standard deviation of the noise, share of white",
            {.min = 0, .max = 1});
}

Characters::Characters(const CharacterOptions& options, SplitKind split)
    : options_(options), train_(split == SplitKind::kTrain) {
  if (split == SplitKind::kAll) {
    throw UsageError("split of characters", "train or val", "'all' of an endless set");
  }
  if (options.fill_min > options.fill_max) {
    throw UsageError("char-fill-min", fmt::format("at most char-fill-max {}", options.fill_max),
                     fmt::format("{}", options.fill_min));
  }
  alphabet_ = Alphabet::build(options);
}

int64_t Characters::size() const { return train_ ? options_.epoch_images : options_.val_images; }

uint64_t Characters::key(int64_t index) const {
  TORCH_CHECK_INDEX(index >= 0 && (train_ || index < size()), "image ", index, " of a set of ",
                    size());
  return stream_key(static_cast<uint64_t>(options_.seed),
                    train_ ? "characters/train" : "characters/val", 0,
                    static_cast<uint64_t>(index));
}

int64_t Characters::label(int64_t index) const {
  return Rng(key(index)).below(std::ssize(class_names()));
}

Sample Characters::get(int64_t index) const {
  Rng rng(key(index));
  const auto [label, number] = draw(rng);
  Sample sample;
  sample.label = label;
  const GlyphView glyph = alphabet_->glyph(label, number, is_held_out());
  const auto side = static_cast<int>(options_.size);
  sample.image.create(side, side, CV_8UC1);
  render_glyph(glyph, options_, rng, sample.image.data);
  return sample;
}

Characters::Drawing Characters::draw(Rng& rng) const {
  const auto label = rng.below(std::ssize(class_names()));
  return {label, rng.below(alphabet_->num_glyphs(label, is_held_out()))};
}

std::string Characters::caption(int64_t index) const {
  Rng rng(key(index));
  const auto [label, number] = draw(rng);
  const auto& style = alphabet_->style(label, number, is_held_out());
  const auto& letter = alphabet_->class_captions()[static_cast<size_t>(label)];
  return style.empty() ? letter : letter + ", " + style;
}

std::string Characters::sample_name(int64_t index) const {
  return fmt::format("characters/{}[{}]", train_ ? "train" : "val", index);
}

}  // namespace softmoe

#include "datasets/sources.h"

#include <fmt/format.h>

#include <array>

#include "core/error.h"
#include "core/registry.h"
#include "datasets/characters/characters.h"
#include "datasets/sources/caption_folder.h"
#include "datasets/sources/cifar.h"
#include "datasets/sources/digits.h"
#include "datasets/sources/emoji.h"
#include "datasets/sources/idx.h"
#include "datasets/sources/image_folder.h"
#include "datasets/sources/manifest.h"
#include "datasets/sources/package_pictures.h"
#include "datasets/sources/packed.h"
#include "datasets/sources/shard_names.h"
#include "datasets/sources/shards.h"
#include "datasets/splits.h"

namespace softmoe {
namespace {

constexpr const char* kFashionFolder = "/usr/share/datasets/fashion-mnist";

/// What reads `data_dir`, for messages of sources that do not.
std::string advice_for(const std::string& data_dir) {
  const auto advice = [](const char* dataset) {
    return fmt::format(" (--dataset {} reads such names)", dataset);
  };
  if (is_pipe(data_dir) || is_shard_name(data_dir)) {
    return advice("shards");
  }
  return is_manifest_name(data_dir) ? advice("manifest") : "";
}

std::unique_ptr<Dataset> open_folder_row(const DatasetOptions& options, const std::string& split) {
  if (!std::filesystem::is_directory(options.data_dir)) {
    throw InputError(options.data_dir, "a folder of class folders",
                     "a file" + advice_for(options.data_dir));
  }
  return open_image_folder(options.data_dir, split, {options.train_split, options.val_split});
}

LabelFormat label_format(const DatasetOptions& options) {
  return {.multi_label = options.multi_label, .separator = options.label_separator};
}

std::unique_ptr<Dataset> open_shards_row(const DatasetOptions& options, const std::string& split) {
  return open_shards(options.data_dir, split, {options.train_split, options.val_split},
                     {.label_key = options.label_column,
                      .class_map = options.class_map,
                      .copies = options.stream_copies,
                      .labels = label_format(options),
                      .caption_key = options.caption_column,
                      .captions = options.captions});
}

std::unique_ptr<Dataset> open_manifest_row(const DatasetOptions& options,
                                           const std::string& split) {
  return open_manifest(options.data_dir, split, {options.train_split, options.val_split},
                       {.path = options.path_column,
                        .label = options.label_column,
                        .labels = label_format(options),
                        .caption = options.caption_column,
                        .captions = options.captions},
                       options.class_map);
}

std::unique_ptr<Dataset> open_packed_row(const DatasetOptions& options, const std::string& split) {
  auto set = open_packed(options.data_dir, split);
  if (options.multi_label && !set->is_multi_label()) {
    throw UsageError("--multi-label", "a file that was packed with --multi-label",
                     options.data_dir + " with one label per image");
  }
  return set;
}

std::unique_ptr<Dataset> open_idx_row(const DatasetOptions& options, const std::string& split) {
  return open_idx(options.data_dir, require_split_kind(split, "idx"), {});
}

std::unique_ptr<Dataset> open_mnist_row(const DatasetOptions& options, const std::string& split) {
  return open_idx(options.data_dir, require_split_kind(split, "mnist"), numbered_classes(10));
}

std::unique_ptr<Dataset> open_fashion_row(const DatasetOptions& options, const std::string& split) {
  // Source of the names: https://github.com/zalandoresearch/fashion-mnist.
  const std::vector<std::string> names = {"T-shirt/top", "Trouser",   "Pullover", "Dress",
                                          "Coat",        "Sandal",    "Shirt",    "Sneaker",
                                          "Bag",         "Ankle boot"};
  const auto kind = require_split_kind(split, "fashion-mnist");
  if (!options.data_dir.empty()) {
    return open_idx(options.data_dir, kind, names);
  }
  if (!std::filesystem::is_directory(kFashionFolder)) {
    throw InputError(kFashionFolder,
                     "Fashion-MNIST (Debian's package dataset-fashion-mnist), or its "
                     "folder by --data-dir",
                     "no such folder");
  }
  return open_idx(kFashionFolder, kind, names);
}

std::unique_ptr<Dataset> open_cifar10_row(const DatasetOptions& options, const std::string& split) {
  return open_cifar(options.data_dir, require_split_kind(split, "cifar10"), /*hundred=*/false);
}

std::unique_ptr<Dataset> open_cifar100_row(const DatasetOptions& options,
                                           const std::string& split) {
  return open_cifar(options.data_dir, require_split_kind(split, "cifar100"), /*hundred=*/true);
}

std::unique_ptr<Dataset> open_wesnoth_row(const DatasetOptions& options, const std::string& split) {
  return open_package_pictures(kWesnothUnits, options.data_dir,
                               require_split_kind(split, "wesnoth"));
}

std::unique_ptr<Dataset> open_clipart_row(const DatasetOptions& options, const std::string& split) {
  return open_package_pictures(kClipArt, options.data_dir, require_split_kind(split, "clipart"));
}

std::unique_ptr<Dataset> open_captions_row(const DatasetOptions& options,
                                           const std::string& split) {
  return open_caption_folder(options.data_dir, split, {options.train_split, options.val_split});
}

std::unique_ptr<Dataset> open_stamps_row(const DatasetOptions& options, const std::string& split) {
  return open_package_pictures(kStamps, options.data_dir, require_split_kind(split, "stamps"));
}

std::unique_ptr<Dataset> open_emoji_row(const DatasetOptions& options, const std::string& split) {
  return open_emoji(options.data_dir, require_split_kind(split, "emoji"));
}

std::unique_ptr<Dataset> open_digits_row(const DatasetOptions&, const std::string& split) {
  return open_digits(require_split_kind(split, "digits"));
}

std::unique_ptr<Dataset> open_characters_row(const DatasetOptions& options,
                                             const std::string& split) {
  return std::make_unique<Characters>(options.characters, require_split_kind(split, "characters"));
}

constexpr std::array kRows{
    DatasetRow{"folder",
               "image files in class folders below --data-dir, with or without folders for "
               "train and val",
               true, true, open_folder_row},
    DatasetRow{"captions",
               "image files below --data-dir with a text beside each: x.jpg and x.txt, without "
               "labels",
               true, true, open_captions_row},
    DatasetRow{"manifest",
               "image files that a .csv, .tsv or .jsonl file lists, or a folder with one per split",
               true, true, open_manifest_row, /*is_pattern=*/false, /*takes_multi_label=*/true},
    DatasetRow{"shards",
               "tar files with WebDataset's names: a pattern such as train-{0000..0146}.tar, or a "
               "folder with shards per split",
               true, true, open_shards_row, /*is_pattern=*/true, /*takes_multi_label=*/true},
    DatasetRow{"hdf5", "files packed by `softmoe data pack`: one, or a folder with one per split",
               true, true, open_packed_row, /*is_pattern=*/false, /*takes_multi_label=*/true},
    DatasetRow{"characters", "letters of this machine's fonts, distorted; endless", false, false,
               open_characters_row},
    DatasetRow{"digits", "1,797 handwritten digits, embedded", false, false, open_digits_row},
    DatasetRow{"fashion-mnist", "70,000 pictures of clothes, 28x28", false, true, open_fashion_row},
    DatasetRow{"mnist", "MNIST's four IDX files, gzipped or not", true, false, open_mnist_row},
    DatasetRow{"idx", "any IDX files named as MNIST's (EMNIST, KMNIST, ...)", true, false,
               open_idx_row},
    DatasetRow{"wesnoth",
               "figures of a game in colour, by kind (Debian's package wesnoth-1.16-data)", false,
               true, open_wesnoth_row},
    DatasetRow{"clipart", "8,000 pictures in colour, by subject (Debian's package openclipart-png)",
               false, true, open_clipart_row},
    DatasetRow{"stamps",
               "some 800 pictures by subject, each with a sentence (Debian's package "
               "tuxpaint-stamps-default)",
               false, true, open_stamps_row},
    DatasetRow{"emoji",
               "some 3,600 emoji by group, each with its name (Debian's packages "
               "fonts-noto-color-emoji and unicode-data)",
               false, true, open_emoji_row},
    DatasetRow{"cifar10", "CIFAR-10, binary version", true, true, open_cifar10_row},
    DatasetRow{"cifar100", "CIFAR-100, binary version, 100 fine classes", true, true,
               open_cifar100_row},
};

}  // namespace

std::span<const DatasetRow> dataset_rows() { return kRows; }

const DatasetRow& dataset_row(const std::string& name) {
  return find_row(dataset_rows(), name, "dataset");
}

std::string original_source(const DatasetOptions& options, const std::string& split) {
  if (options.dataset != "hdf5") {
    return options.dataset;
  }
  const auto packed = packed_source(options.data_dir, split);
  const bool is_known = std::any_of(kRows.begin(), kRows.end(),
                                    [&](const DatasetRow& row) { return row.name == packed; });
  return is_known ? packed : options.dataset;
}

double usual_hflip(const DatasetOptions& options) {
  const auto source = original_source(options, options.train_split);
  return dataset_row(source).mirror_keeps_label ? 0.5 : 0.0;
}

void describe(OptionTable& table, DatasetOptions& options) {
  OptionLimits names;
  for (const auto& row : kRows) {
    names.choices.emplace_back(row.name);
  }
  table.add("dataset", options.dataset, "where images come from", names);
  table.add("data-dir", options.data_dir, "folder or file of the data set", {.unit = "path"});
  table.add("class-map", options.class_map,
            "manifest, shards: a file with the names of the classes, one per line, in the order of "
            "their numbers; not given: the labels of the training images",
            {.unit = "path"});
  table.add("path-column", options.path_column,
            "manifest: column with the images' paths; not given: file_name, path, image, ...");
  table.add("label-column", options.label_column,
            "manifest, shards: column, or key of .json members, with the labels; not given: label, "
            "class, ...");
  table.add("multi-label", options.multi_label,
            "manifest, shards: an image has any number of labels: a list in JSON, a text with "
            "separators in tables; --loss is sigmoid then");
  table.add("label-separator", options.label_separator,
            "what stands between several labels in one text");
  table.add("caption-column", options.caption_column,
            "manifest, shards: column, or key of .json members, with the captions; not given: "
            "caption, text, ..., of commands that read texts");
  table.add("train-split", options.train_split, "part of the set to train on");
  table.add("val-split", options.val_split, "part of the set to evaluate on");
  describe(table, options.characters);
}

std::unique_ptr<Dataset> make_dataset(const DatasetOptions& options, const std::string& split) {
  const auto& row = dataset_row(options.dataset);
  if (row.needs_data_dir) {
    if (options.data_dir.empty()) {
      throw UsageError(fmt::format("dataset {} needs --data-dir", row.name));
    }
    if (!row.is_pattern && !std::filesystem::exists(options.data_dir)) {
      throw InputError("data-dir " + options.data_dir, "a folder or file",
                       "nothing there" + advice_for(options.data_dir));
    }
  }
  if (options.multi_label && !row.takes_multi_label) {
    throw UsageError("--multi-label", "--dataset manifest, shards or hdf5",
                     "--dataset " + std::string(row.name));
  }
  if (options.label_separator.empty()) {
    throw UsageError("--label-separator", "a text", "nothing");
  }
  return row.open(options, split);
}

}  // namespace softmoe

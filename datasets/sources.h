#pragma once
/// The table of data sources.

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "datasets/dataset.h"

namespace softmoe {

/// A source that `--dataset` can name.
struct DatasetRow {
  std::string_view name;
  std::string_view description;
  bool needs_data_dir;      ///< throws without `--data-dir`
  bool mirror_keeps_label;  ///< a mirrored image is still a plausible image of its class
  std::unique_ptr<Dataset> (*open)(const DatasetOptions& options, const std::string& split);
  bool is_pattern = false;         ///< `--data-dir` may be a pattern of names or a command
  bool takes_multi_label = false;  ///< images may have any number of labels
};

std::span<const DatasetRow> dataset_rows();

/// The row called `name`; throws UsageError that lists the known names.
const DatasetRow& dataset_row(const std::string& name);

/// The source that the images of `split` come from originally: of a packed file, the source that
/// the file names; else the source that `options` name.
std::string original_source(const DatasetOptions& options, const std::string& split);

/// The default probability of mirroring training images: 0.5 if a mirrored image of the source
/// keeps its label, else 0.
double usual_hflip(const DatasetOptions& options);

}  // namespace softmoe

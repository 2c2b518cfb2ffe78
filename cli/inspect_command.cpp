#include <fmt/format.h>

#include "analysis/routing_inspection.h"
#include "analysis/routing_text.h"
#include "checkpoints/open_model.h"
#include "cli/checkpoint_flags.h"
#include "cli/command_line.h"
#include "cli/commands.h"
#include "cli/print_line.h"
#include "core/error.h"
#include "core/log.h"
#include "datasets/image_file.h"
#include "datasets/loader.h"
#include "inference/image_inputs.h"
#include "io/atomic_file.h"

namespace softmoe::cli {
namespace {

struct InspectOptions {
  std::string checkpoint;
  std::string split;
  std::string output = "dispatch_maps";
  std::string label;
  int64_t count = 6;
  int64_t statistics_count = 64;
  int64_t batch_size = 8;
  int64_t seed = 0;

  bool operator==(const InspectOptions&) const = default;
};

void describe(OptionTable& table, InspectOptions& options) {
  describe_checkpoint(table, options.checkpoint);
  table.add("split", options.split, "part of the data set to take images from; empty: --val-split");
  table.add("output", options.output, "where the sheets go, block_<number>.png",
            {.unit = "folder"});
  describe_label(table, options.label);
  table.add("count", options.count, "images to draw", {.unit = "images", .min = 1});
  table.add("statistics-count", options.statistics_count,
            "images that the statistics are about, including those that are drawn",
            {.unit = "images", .min = 1});
  table.add("batch-size", options.batch_size, "images that are computed together",
            {.unit = "images", .min = 1, .max = kMaxBatch});
  table.add("seed", options.seed, "chooses the images of a data set", {.min = 0});
}

/// Some images of a set, in the order in which they are used.
struct Selection {
  std::unique_ptr<Dataset> set;
  std::vector<int64_t> indices;
  bool has_labels = false;

  std::string caption(int64_t index) const {
    return has_labels ? set->class_names().at(static_cast<size_t>(set->label(index)))
                      : std::filesystem::path(set->sample_name(index)).stem().string();
  }
};

/// Files in their order; random images of a data set, since data sets are often sorted by class.
Selection select_images(const InspectOptions& options, const DatasetOptions& data,
                        const std::vector<std::string>& paths) {
  Selection selection;
  const int64_t wanted = std::max(options.count, options.statistics_count);
  if (!paths.empty()) {
    selection.set = open_image_paths(paths);
    for (int64_t i = 0; i < std::min(wanted, selection.set->size()); ++i) {
      selection.indices.push_back(i);
    }
    return selection;
  }
  selection.has_labels = true;
  selection.set = make_dataset(data, options.split.empty() ? data.val_split : options.split);
  Rng rng(stream_key(static_cast<uint64_t>(options.seed), "inspect"));
  selection.indices = random_permutation(selection.set->size(), rng);
  selection.indices.resize(std::min(selection.indices.size(), static_cast<size_t>(wanted)));
  return selection;
}

/// Runs all images of the selection, batch by batch.
void run_images(RoutingInspection& inspection, const Selection& selection, int64_t batch_size) {
  const auto& all = selection.indices;
  for (int64_t first = 0; first < std::ssize(all); first += batch_size) {
    const auto last = std::min(first + batch_size, std::ssize(all));
    const std::vector<int64_t> indices(all.begin() + first, all.begin() + last);
    std::vector<std::string> captions;
    for (const int64_t index : indices) {
      captions.push_back(selection.caption(index));
    }
    inspection.add(*selection.set, indices, captions);
  }
}

/// Writes the sheets and returns their description for the result.
Json write_sheets(const std::vector<DispatchSheet>& sheets, const std::string& folder) {
  Json list = Json::array();
  for (const auto& sheet : sheets) {
    const auto bytes = encode_png(sheet.picture);
    const auto name = fmt::format("block_{}.png", sheet.block);
    const auto path = std::filesystem::path(folder) / name;
    write_text_file(path, std::string(bytes.begin(), bytes.end()));
    log_line("wrote " + path.string());
    list.push_back({{"file", name},
                    {"title", fmt::format("Block {}", sheet.block)},
                    {"caption", sheet.caption},
                    {"slots", sheet.slots}});
  }
  return list;
}

/// Writes the sheets and returns the result as JSON.
Json write_results(const RoutingInspection& inspection, const Selection& selection,
                   const InspectOptions& options, const DispatchMapOptions& maps) {
  Json document;
  document["label"] = options.label.empty() ? checkpoint_label(options.checkpoint) : options.label;
  document["model"] = inspection.description().name;
  document["images"] = Json::array();
  for (size_t i = 0; i < inspection.images().size(); ++i) {
    document["images"].push_back({{"image", selection.set->sample_name(selection.indices[i])},
                                  {"caption", inspection.images()[i].caption}});
  }
  document["statistics_images"] = selection.indices.size();
  document["sheets"] = write_sheets(inspection.draw(maps), options.output);
  document["layers"] = Json::array();
  for (const auto& layer : inspection.layers()) {
    document["layers"].push_back(to_json(layer));
  }
  return document;
}

}  // namespace

void run_inspect(const std::vector<std::string>& arguments) {
  InspectOptions options;
  DispatchMapOptions maps;
  DatasetOptions data;
  std::vector<std::string> paths;
  CommandLine line("inspect",
                   "Dispatch and combine maps of a model's MoE layers over images, and statistics "
                   "of the layers.");
  line.add("Inspection", options);
  line.add("Maps", maps);
  line.add("Data", data);
  line.add_operand("checkpoint");
  line.add_names(
      {.name = "IMAGE", .meaning = "image files and folders of them, instead of a --dataset"},
      paths);
  if (!line.parse(arguments)) {
    return;
  }
  check_can_write(std::filesystem::path(options.output) / "block_0.png");
  RoutingInspection inspection(open_model(options.checkpoint, line.device()), options.checkpoint,
                               options.count);
  const auto selection = select_images(options, data, paths);
  compute_batches(line.device(), options.batch_size,
                  [&] { run_images(inspection, selection, options.batch_size); });
  line.write_json(write_results(inspection, selection, options, maps));
  print_text(routing_table(inspection.layers()));
}

}  // namespace softmoe::cli

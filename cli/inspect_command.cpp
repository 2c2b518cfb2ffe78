#include <fmt/format.h>

#include <set>

#include "analysis/dispatch_maps.h"
#include "analysis/routing_summary.h"
#include "checkpoints/model_checkpoint.h"
#include "cli/command_line.h"
#include "cli/commands.h"
#include "cli/open_model.h"
#include "cli/routing_text.h"
#include "core/error.h"
#include "core/log.h"
#include "datasets/image_file.h"
#include "datasets/transforms.h"
#include "inference/image_inputs.h"
#include "inference/predictor.h"
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
            "images that the statistics are about, the drawn ones included",
            {.unit = "images", .min = 1});
  table.add("batch-size", options.batch_size, "images that are computed together",
            {.unit = "images", .min = 1});
  table.add("seed", options.seed, "chooses the images of a data set", {.min = 0});
}

/// Some images of a set, in the order in which they are used.
struct Selection {
  std::unique_ptr<Dataset> set;
  std::vector<int64_t> indices;
  bool has_labels = false;

  std::string caption(int64_t index, const Sample& sample) const {
    return has_labels ? set->class_names().at(static_cast<size_t>(sample.label))
                      : std::filesystem::path(set->sample_name(index)).stem().string();
  }
};

/// Files in their order; of a data set, whose order is often by class, a random choice.
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

/// What one run of the command works with and gathers.
struct Inspection {
  LoadedModel loaded;
  std::string checkpoint;
  PreprocessOptions preprocess;
  torch::Device device;
  RoutingKind kind;
  RoutingSummary summary{kind};
  std::vector<InspectedImage> drawn{};
  std::vector<RoutingRecords> drawn_records{};
};

/// Runs images [first, last) of the selection; the first `count` of all are kept to be drawn.
void run_batch(Inspection& inspection, const Selection& selection, size_t first, size_t last,
               int64_t count) {
  const auto transform = Transform::evaluation(inspection.preprocess);
  auto images = torch::empty({static_cast<int64_t>(last - first), transform.channels(),
                              transform.height(), transform.width()});
  std::vector<std::string> captions;
  Rng unused(0);  // evaluation makes no random choice
  for (size_t i = first; i < last; ++i) {
    const auto sample = selection.set->get(selection.indices[i]);
    transform.apply(sample, unused, images[static_cast<int64_t>(i - first)].data_ptr<float>());
    captions.push_back(selection.caption(selection.indices[i], sample));
  }
  const auto records =
      record_routing(inspection.loaded.model, inspection.checkpoint, images.to(inspection.device));
  inspection.summary.add(records);
  const auto pictures = to_pictures(images, inspection.preprocess.mean, inspection.preprocess.std);
  const auto missing = static_cast<size_t>(count) - inspection.drawn.size();
  for (size_t i = 0; i < std::min(missing, pictures.size()); ++i) {
    inspection.drawn.push_back({.picture = pictures[i], .caption = captions[i]});
  }
  if (missing > 0) {
    inspection.drawn_records.push_back(records);
  }
}

/// The routing of `block` for the images that are drawn.
RoutingRecord drawn_record(const Inspection& inspection, int64_t block) {
  std::vector<torch::Tensor> dispatch;
  std::vector<torch::Tensor> combine;
  for (const auto& records : inspection.drawn_records) {
    dispatch.push_back(records.at(block).dispatch);
    combine.push_back(records.at(block).combine);
  }
  const auto count = static_cast<int64_t>(inspection.drawn.size());
  return {.dispatch = torch::cat(dispatch).slice(0, 0, count),
          .combine = torch::cat(combine).slice(0, 0, count)};
}

/// The blocks to draw: those that were asked for, which must have MoE layers, or all.
std::vector<int64_t> blocks_to_draw(const std::vector<int64_t>& asked,
                                    const RoutingRecords& records) {
  std::vector<int64_t> known;
  std::string names;
  for (const auto& [block, record] : records) {
    known.push_back(block);
    names += (names.empty() ? "" : ", ") + std::to_string(block);
  }
  for (const int64_t block : asked) {
    if (!records.contains(block)) {
      throw UsageError("--blocks", "MoE blocks of the model: " + names, std::to_string(block));
    }
  }
  return asked.empty() ? known : asked;
}

/// Draws and writes the sheets; gives their description for the result.
Json write_sheets(const Inspection& inspection, const InspectOptions& options,
                  const DispatchMapOptions& maps) {
  Json sheets = Json::array();
  for (const int64_t block : blocks_to_draw(maps.blocks, inspection.drawn_records.front())) {
    const auto record = drawn_record(inspection, block);
    const auto slots = choose_slots(record, maps.slots, maps.slot_choice);
    const auto bytes = encode_png(draw_dispatch_sheet(
        inspection.drawn, record, inspection.loaded.model->options(), slots, maps));
    const auto name = fmt::format("block_{}.png", block);
    const auto path = std::filesystem::path(options.output) / name;
    write_text_file(path, std::string(bytes.begin(), bytes.end()));
    log_line("wrote " + path.string());
    const int64_t all_slots = record.dispatch.size(2) * record.dispatch.size(3);
    sheets.push_back({{"file", name},
                      {"title", fmt::format("Block {}", block)},
                      {"caption", sheet_caption(inspection.kind, slots.size(), all_slots,
                                                enum_name(maps.slot_choice))},
                      {"slots", slots}});
  }
  return sheets;
}

Inspection open_inspection(const InspectOptions& options, const torch::Device& device) {
  auto loaded = open_model(options.checkpoint, device);
  const auto& model = loaded.description.options;
  const auto kind = has_moe(model) ? router_row(model.moe.router).kind : RoutingKind::kSoft;
  if (kind == RoutingKind::kMerged) {
    throw InputError(options.checkpoint, "a router that sends tokens to experts",
                     "router " + model.moe.router + ", which mixes the experts themselves");
  }
  Inspection inspection{.loaded = std::move(loaded),
                        .checkpoint = options.checkpoint,
                        .preprocess = {},
                        .device = device,
                        .kind = kind};
  inspection.preprocess = stored_preprocess(inspection.loaded.description, options.checkpoint);
  return inspection;
}

/// Writes the sheets and gives the result as JSON.
Json write_results(const Inspection& inspection, const Selection& selection,
                   const InspectOptions& options, const DispatchMapOptions& maps) {
  Json document;
  document["label"] = options.label.empty() ? checkpoint_label(options.checkpoint) : options.label;
  document["model"] = inspection.loaded.description.name;
  document["images"] = Json::array();
  for (size_t i = 0; i < inspection.drawn.size(); ++i) {
    document["images"].push_back({{"image", selection.set->sample_name(selection.indices[i])},
                                  {"caption", inspection.drawn[i].caption}});
  }
  document["statistics_images"] = selection.indices.size();
  document["sheets"] = write_sheets(inspection, options, maps);
  document["layers"] = Json::array();
  for (const auto& layer : inspection.summary.layers()) {
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
  auto inspection = open_inspection(options, line.device());
  const auto selection = select_images(options, data, paths);
  compute_batches(inspection.device, options.batch_size, [&] {
    const auto batch = static_cast<size_t>(options.batch_size);
    for (size_t first = 0; first < selection.indices.size(); first += batch) {
      run_batch(inspection, selection, first, std::min(first + batch, selection.indices.size()),
                options.count);
    }
  });
  line.write_json(write_results(inspection, selection, options, maps));
  fmt::print("{}", routing_table(inspection.summary.layers()));
}

}  // namespace softmoe::cli

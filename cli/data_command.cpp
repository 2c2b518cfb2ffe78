#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>
#include <numeric>

#include "cli/command_line.h"
#include "cli/commands.h"
#include "cli/print_line.h"
#include "core/error.h"
#include "core/log.h"
#include "core/lower_case.h"
#include "core/pluralize.h"
#include "core/table.h"
#include "core/text_format.h"
#include "datasets/augment/augment_sheet.h"
#include "datasets/image_file.h"
#include "datasets/inspection.h"
#include "datasets/loader.h"
#include "datasets/sources.h"
#include "datasets/sources/packed_writer.h"
#include "datasets/splits.h"
#include "datasets/transforms.h"
#include "io/atomic_file.h"

namespace softmoe::cli {
namespace {

/// Max number of classes in the table; of more classes, the largest and smallest are shown.
constexpr int64_t kMaxTableRows = 20;

struct DataOptions {
  std::string action;
  std::string split;
  std::string output;
  int64_t decode = 2000;
  int64_t columns = 20;
  int64_t rows = 12;
  int64_t tile = 56;
  int64_t workers = 2;
  int64_t seed = 0;
  int64_t count = 8;
  bool keep_captions = false;

  bool operator==(const DataOptions&) const = default;
};

void describe(OptionTable& table, DataOptions& options) {
  table.add(
      "action", options.action,
      "describe (or info): classes, sizes and colours; verify: decode every image and list "
      "those that cannot be read; pack: one HDF5 file per split, with checksums; sheet: a "
      "picture of many images; augment: a picture of what training makes of images, the first "
      "column as evaluation sees them; export: the first images as PNG files",
      {.choices = {"describe", "info", "verify", "pack", "sheet", "augment", "export"}});
  table.add("split", options.split,
            "the part to look at (all: everything); not given: --train-split and --val-split");
  table.add("output", options.output,
            "pack: a folder for one file per split, or one .h5 file; sheet, augment: a .png file; "
            "export: a folder of PNG files",
            {.unit = "path"});
  table.add("decode", options.decode, "describe: images to decode for sizes and colours",
            {.unit = "images", .min = 0});
  table.add("columns", options.columns, "sheet, augment: images side by side",
            {.min = 1, .max = 200});
  table.add("rows", options.rows, "sheet, augment: lines of images", {.min = 1, .max = 200});
  table.add("tile", options.tile, "sheet, augment: side of each image",
            {.unit = "px", .min = 1, .max = 500});
  table.add("workers", options.workers, "verify, pack: threads that decode",
            {.unit = "threads", .min = 0, .max = kMaxWorkers});
  table.add("seed", options.seed, "augment: seed of the run that is shown", {.min = 0});
  table.add("count", options.count, "export: images to write, the first of the split",
            {.unit = "images", .min = 1});
  table.add("keep-captions", options.keep_captions,
            "pack: captions of manifests and shards are kept, whose labels may be missing then; "
            "those of other sources always are");
}

/// The options of an action.
struct Job {
  DataOptions options;
  DatasetOptions data;
  PackOptions pack;
  PreprocessOptions preprocess;

  std::vector<std::string> splits() const {
    if (!options.split.empty()) {
      return {options.split};
    }
    return data.train_split == data.val_split
               ? std::vector<std::string>{data.train_split}
               : std::vector<std::string>{data.train_split, data.val_split};
  }
  std::string name() const {
    return data.dataset + (data.data_dir.empty() ? "" : " " + data.data_dir);
  }
};

std::string range_text(int64_t min, int64_t max) {
  return min == max ? std::to_string(min) : fmt::format("{} to {}", min, max);
}

std::string values_text(const std::vector<double>& values) {
  std::string text;
  for (const double value : values) {
    text += fmt::format("{}{:.4f}", text.empty() ? "" : " ", value);
  }
  return text;
}

std::string class_table(const std::vector<std::string>& names, const std::vector<int64_t>& counts) {
  std::vector<size_t> order(names.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&counts](size_t a, size_t b) { return counts[a] > counts[b]; });
  TextTable table({"class", "images"});
  for (size_t place = 0; place < order.size(); ++place) {
    const bool shown = std::ssize(order) <= kMaxTableRows ||
                       static_cast<int64_t>(place) < kMaxTableRows / 2 ||
                       std::ssize(order) - static_cast<int64_t>(place) <= kMaxTableRows / 2;
    if (shown) {
      table.add_row({names[order[place]], std::to_string(counts[order[place]])});
    } else if (static_cast<int64_t>(place) == kMaxTableRows / 2) {
      table.add_row({fmt::format("({} more)", std::ssize(order) - kMaxTableRows), ""});
    }
  }
  return table.text();
}

Json bad_json(const std::vector<BadImage>& bad) {
  Json list = Json::array();
  for (const auto& image : bad) {
    list.push_back({{"index", image.index}, {"reason", image.reason}});
  }
  return list;
}

Json describe_split(const Job& job, const std::string& split) {
  const auto set = make_dataset(job.data, split);
  const auto summary = summarize(*set, job.options.decode);
  const auto& names = set->class_names();
  print_line("{} split {}: {}{}, {}", job.name(), split, pluralize(set->size(), "image"),
             set->endless() ? " an epoch, endless" : "",
             pluralize(std::ssize(names), "class", "classes"));
  if (names.size() < 2) {
    log_line(fmt::format("{} split {}: training takes two classes or more", job.name(), split));
  }
  if (summary.decoded > 0) {
    print_line("of {} decoded: height {} px, width {} px, --mean {} --std {}", summary.decoded,
               range_text(summary.min_height, summary.max_height),
               range_text(summary.min_width, summary.max_width), values_text(summary.mean),
               values_text(summary.std));
  }
  for (const auto& image : summary.bad) {
    print_line("unreadable: {}", image.reason);
  }
  print_text(class_table(names, summary.class_images) + "\n");
  return {{"split", split},
          {"images", set->size()},
          {"endless", set->endless()},
          {"classes", names},
          {"class_images", summary.class_images},
          {"decoded", summary.decoded},
          {"height", {summary.min_height, summary.max_height}},
          {"width", {summary.min_width, summary.max_width}},
          {"mean", summary.mean},
          {"std", summary.std},
          {"bad", bad_json(summary.bad)}};
}

Json verify_split(const Job& job, const std::string& split) {
  const auto set = make_dataset(job.data, split);
  const auto bad = find_bad_images(*set, job.options.workers);
  for (const auto& image : bad) {
    print_line("{}", image.reason);
  }
  print_line("{} split {}: {}, {} unreadable", job.name(), split, pluralize(set->size(), "image"),
             bad.size());
  return {{"split", split}, {"images", set->size()}, {"bad", bad_json(bad)}};
}

bool is_file_name(const std::string& output) {
  return output.ends_with(".h5") || output.ends_with(".hdf5");
}

Json pack_split(const Job& job, const std::string& split) {
  const std::filesystem::path output(job.options.output);
  const auto path = is_file_name(job.options.output) ? output : output / (split + ".h5");
  const auto set = make_dataset(job.data, split);
  auto pack = job.pack;
  pack.workers = job.options.workers;
  pack.source = original_source(job.data, split);
  const auto report = pack_dataset(*set, path, split, pack);
  print_line("{}: {} images, {}{}", path.string(), report.images, format_bytes(report.bytes),
             report.bad.empty() ? "" : fmt::format(", {} left out", report.bad.size()));
  return {{"split", split},
          {"file", path.string()},
          {"images", report.images},
          {"bytes", report.bytes},
          {"bad", bad_json(report.bad)}};
}

/// Throws UsageError if one of the pictures `outputs` is an image of `set`.
void check_replaces_none(const Dataset& set, const std::vector<std::filesystem::path>& outputs) {
  std::multimap<std::filesystem::path, std::filesystem::path> there;  // by the name of the file
  for (const auto& output : outputs) {
    std::error_code none;
    const auto place = std::filesystem::canonical(output, none);
    if (!none) {
      there.emplace(place.filename(), output);
    }
  }
  for (int64_t index = 0; !there.empty() && index < set.size(); ++index) {
    const std::filesystem::path image = set.sample_name(index);
    const auto [first, last] = there.equal_range(image.filename());
    for (auto output = first; output != last; ++output) {
      std::error_code no_file;
      if (std::filesystem::equivalent(image, output->second, no_file)) {
        throw UsageError("OUTPUT " + printable_text(output->second.string()),
                         "another file than the images of the data set", "one of them");
      }
    }
  }
}

Json draw_sheet(const Job& job, const std::string& split) {
  const auto& options = job.options;
  const auto set = make_dataset(job.data, split);
  check_replaces_none(*set, {options.output});
  const auto sheet = contact_sheet(*set, options.columns, options.rows, options.tile);
  const auto bytes = encode_png(sheet);
  write_text_file(options.output, {bytes.begin(), bytes.end()});
  print_line("{}", options.output);
  return {{"split", split}, {"file", options.output}};
}

Json draw_augmented(const Job& job, const std::string& split) {
  const auto& options = job.options;
  const auto text = Transform::training(job.preprocess).text();
  const auto set = make_dataset(job.data, split);
  check_replaces_none(*set, {options.output});
  const auto sheet = augment_sheet(*set, job.preprocess,
                                   {.columns = options.columns,
                                    .rows = options.rows,
                                    .side = options.tile,
                                    .seed = static_cast<uint64_t>(options.seed)});
  const auto bytes = encode_png(sheet);
  write_text_file(options.output, {bytes.begin(), bytes.end()});
  print_line("{}", text);
  print_line("{}", options.output);
  return {{"split", split}, {"file", options.output}, {"transform", text}};
}

Json export_images(const Job& job, const std::string& split) {
  const auto& options = job.options;
  const auto set = make_dataset(job.data, split);
  const int64_t count = std::min(options.count, set->size());
  std::vector<std::filesystem::path> paths;
  for (int64_t index = 0; index < count; ++index) {
    paths.push_back(std::filesystem::path(options.output) / fmt::format("{:05}.png", index));
  }
  check_replaces_none(*set, paths);
  Json files = Json::array();
  for (int64_t index = 0; index < count; ++index) {
    const auto sample = set->get(index);
    const auto bytes = encode_png(sample.image);
    const auto& path = paths[static_cast<size_t>(index)];
    write_text_file(path, {bytes.begin(), bytes.end()});
    Json labels = Json::array();
    for (const int64_t label : set->labels(index)) {
      labels.push_back(set->class_names()[static_cast<size_t>(label)]);
    }
    const auto names = fmt::format("{}", fmt::join(labels.get<std::vector<std::string>>(), ", "));
    print_line("{}  {}", path.string(), names);
    files.push_back({{"file", path.string()}, {"label", names}});
    if (set->is_multi_label()) {
      files.back()["labels"] = std::move(labels);
    }
  }
  return {{"split", split}, {"files", files}};
}

/// Throws UsageError if OUTPUT does not fit the action; chooses the split that it writes.
void check_output(Job& job, const CommandLine& line) {
  auto& options = job.options;
  const auto& action = options.action;
  const bool writes = action != "describe" && action != "verify";
  if (writes == options.output.empty()) {
    throw UsageError(writes ? "OUTPUT (--output) is missing: what data " + action + " writes"
                            : "OUTPUT: data " + action + " writes nothing" +
                                  line.advice_on(options.output));
  }
  if (!writes) {
    return;
  }
  const bool draws = action == "sheet" || action == "augment";
  if (draws && lower_case(std::filesystem::path(options.output).extension().string()) != ".png") {
    throw UsageError("OUTPUT of data " + action, "a .png file",
                     "'" + printable_text(options.output) + "'");
  }
  if (options.split.empty() && action != "pack") {
    options.split = job.data.train_split;
  } else if (options.split.empty() && is_file_name(options.output)) {
    options.split = "all";
  }
}

/// Throws InputError if images of a set that was verified are bad.
void check_verified(const Json& results) {
  size_t bad = 0;
  for (const auto& result : results) {
    bad += result["bad"].size();
  }
  if (bad > 0) {
    throw InputError(pluralize(bad, "image") + " cannot be read");
  }
}

}  // namespace

void run_data(const std::vector<std::string>& arguments) {
  Job job;
  CommandLine line("data", "Look at data sets, check them, and write them as other files.");
  line.add("Action", job.options);
  line.add("Data", job.data);
  line.add("Packing", job.pack);
  line.add("Preprocessing, of augment", job.preprocess);
  line.add_operand("action");
  line.add_operand("output", /*required=*/false);
  if (!line.parse(arguments)) {
    return;
  }
  if (job.options.action == "info") {
    job.options.action = "describe";
  }
  check_output(job, line);
  if (job.options.action == "augment" && !line.given("hflip")) {
    job.preprocess.hflip = usual_hflip(job.data);
  }
  if (job.options.action == "pack") {
    job.data.stream_copies = job.options.output + ".shards";
    job.data.captions = job.options.keep_captions;
  }
  using Action = Json (*)(const Job&, const std::string&);
  const std::map<std::string, Action> actions = {
      {"describe", describe_split}, {"verify", verify_split},    {"pack", pack_split},
      {"sheet", draw_sheet},        {"augment", draw_augmented}, {"export", export_images}};
  const auto& action = *actions.find(job.options.action);
  Json results = Json::array();
  std::optional<MissingSplit> missing;  // a usual split; the other one is enough
  for (const auto& split : job.splits()) {
    try {
      results.push_back(action.second(job, split));
    } catch (const MissingSplit& error) {
      const bool is_train = split == job.data.train_split;
      if (line.given("split") || line.given(is_train ? "train-split" : "val-split")) {
        throw;
      }
      missing = error;
      log_line(error.what());
    }
  }
  if (results.empty() && missing) {
    throw *missing;
  }
  if (!job.data.stream_copies.empty()) {
    std::filesystem::remove_all(job.data.stream_copies);
  }
  line.write_json({{"action", action.first}, {"splits", results}});
  if (action.first == "verify") {
    check_verified(results);
  }
}

}  // namespace softmoe::cli

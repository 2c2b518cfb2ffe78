#include "train/shared_run.h"

#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <set>

#include "softmoe/mixing_state.h"

namespace softmoe {
namespace {

/// The tensors of a checkpoint, in sections.
constexpr std::array kSections{&Checkpoint::model, &Checkpoint::optimizer, &Checkpoint::ema,
                               &Checkpoint::helpers};

/// The names, shapes and dtypes of the tensors of `checkpoint`, and its metadata.
Json outline(const SavedRun& saved) {
  Json json{{"path", saved.path.string()},
            {"metadata", saved.checkpoint.metadata},
            {"sections", Json::array()}};
  for (const auto section : kSections) {
    Json tensors = Json::array();
    for (const auto& [name, tensor] : saved.checkpoint.*section) {
      tensors.push_back({{"name", name},
                         {"shape", tensor.sizes().vec()},
                         {"dtype", static_cast<int>(tensor.scalar_type())}});
    }
    json["sections"].push_back(std::move(tensors));
  }
  return json;
}

/// A checkpoint of that outline whose tensors hold nothing yet.
SavedRun from_outline(const Json& json) {
  SavedRun saved{.path = json.at("path").get<std::string>(), .checkpoint = {}};
  saved.checkpoint.metadata = json.at("metadata");
  for (size_t section = 0; section < kSections.size(); ++section) {
    for (const auto& tensor : json.at("sections").at(section)) {
      (saved.checkpoint.*kSections[section])[tensor.at("name").get<std::string>()] =
          at::empty(tensor.at("shape").get<std::vector<int64_t>>(),
                    static_cast<torch::Dtype>(tensor.at("dtype").get<int>()));
    }
  }
  return saved;
}

/// Where the routing of a layer is recorded as means over images.
std::vector<torch::Tensor*> parts_of(ExpertLoad& load) {
  std::vector<torch::Tensor*> parts{&load.load, &load.importance, &load.dropped, &load.entropy};
  for (const auto& [name, member] : kMixingFields) {
    parts.push_back(&(load.mixing.*member));
  }
  return parts;
}

}  // namespace

void share_tensors(const World& world, const torch::nn::Module& module) {
  if (world.is_alone()) {
    return;
  }
  auto tensors = module.parameters();
  const auto buffers = module.buffers();
  tensors.insert(tensors.end(), buffers.begin(), buffers.end());
  world.broadcast(tensors);
}

SavedRun load_shared(const World& world, const ExpertParallel* experts, const RunFolder& folder) {
  if (world.is_alone()) {
    return folder.load();
  }
  SavedRun saved;
  if (world.is_first()) {
    saved = folder.load();
  }
  const auto text = world.text_of_first(world.is_first() ? json_text(outline(saved)) : "");
  if (!world.is_first()) {
    saved = from_outline(Json::parse(text));
  }
  std::vector<torch::Tensor> tensors;
  for (const auto section : kSections) {
    for (auto& [name, tensor] : saved.checkpoint.*section) {
      if (experts != nullptr && experts->is_part(name)) {
        // One by one, so that no process but rank 0 ever has all experts.
        world.broadcast({tensor});
        tensor = experts->part_of(name, tensor);
      } else {
        tensors.push_back(tensor);
      }
    }
  }
  world.broadcast(tensors);
  return saved;
}

Json all_bad_images(const World& world, const Json& own) {
  if (world.is_alone()) {
    return own;
  }
  Json all = Json::array();
  std::set<int64_t> known;
  for (const auto& text : world.gather_texts(json_text(own))) {
    for (const auto& image : Json::parse(text)) {
      if (known.insert(image.at("index").get<int64_t>()).second) {
        all.push_back(image);
      }
    }
  }
  return all;
}

NotFinite all_not_finite(const World& world, NotFinite own) {
  if (world.is_alone()) {
    return own;
  }
  Json json{{"place", own.place}, {"indices", own.indices}, {"names", Json::array()}};
  for (const auto& name : own.names) {
    json["names"].push_back(valid_utf8(name));
  }
  own.place.clear();
  own.indices.clear();
  own.names.clear();
  for (const auto& text : world.gather_texts(json_text(json))) {
    const auto part = Json::parse(text);
    // The process that has an expert whose gradient is bad names it, others know of the norm alone.
    const auto place = part.at("place").get<std::string>();
    if (own.place.empty() || (own.place == kNormAlone && !place.empty())) {
      own.place = place;
    }
    const auto indices = part.at("indices").get<std::vector<int64_t>>();
    const auto names = part.at("names").get<std::vector<std::string>>();
    own.indices.insert(own.indices.end(), indices.begin(), indices.end());
    own.names.insert(own.names.end(), names.begin(), names.end());
  }
  return own;
}

ModelUpdate with_all_routing(const World& world, ModelUpdate update, double share) {
  if (world.is_alone()) {
    return update;
  }
  std::vector<torch::Tensor*> parts;
  for (auto& batch : update.batches) {
    for (auto& [block, load] : batch.loads) {
      const auto of_layer = parts_of(load);
      parts.insert(parts.end(), of_layer.begin(), of_layer.end());
    }
    for (auto& [block, values] : batch.values) {
      for (auto& [name, value] : values) {
        parts.push_back(&value);
      }
    }
  }
  std::erase_if(parts, [](const torch::Tensor* part) { return !part->defined(); });
  for (auto* part : parts) {
    auto sum = (part->detach() * share).contiguous();
    world.sum(sum);
    *part = sum;
  }
  return update;
}

}  // namespace softmoe

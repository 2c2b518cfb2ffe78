#include "analysis/routing_inspection.h"

#include <utility>

#include "analysis/routing_text.h"
#include "core/error.h"

namespace softmoe {
namespace {

/// The kind of the model's router; dense models, which are refused later, count as soft.
RoutingKind inspected_kind(const VitOptions& model, const std::string& name) {
  const auto kind = has_moe(model) ? router_row(model.moe.router).kind : RoutingKind::kSoft;
  if (kind == RoutingKind::kMerged) {
    throw InputError(name, "a router that sends tokens to experts",
                     "router " + model.moe.router + ", which mixes the experts themselves");
  }
  return kind;
}

}  // namespace

RoutingInspection::RoutingInspection(LoadedModel loaded, std::string name, int64_t count)
    : loaded_(std::move(loaded)),
      name_(std::move(name)),
      count_(static_cast<size_t>(count)),
      device_(loaded_.model->parameters().front().device()),
      kind_(inspected_kind(loaded_.description.options, name_)),
      summary_(kind_),
      preprocess_(stored_preprocess(loaded_.description, name_)) {}

void RoutingInspection::add(const Dataset& set, const std::vector<int64_t>& indices,
                            const std::vector<std::string>& captions) {
  TORCH_CHECK_VALUE(indices.size() == captions.size(), "RoutingInspection: ", indices.size(),
                    " images, ", captions.size(), " captions");
  const auto transform = Transform::evaluation(preprocess_);
  auto images = torch::empty({std::ssize(indices), transform.channels(), transform.height(),
                              transform.width()});  // [batch, channels, height, width]
  Rng unused(0);                                    // evaluation makes no random choice
  for (size_t i = 0; i < indices.size(); ++i) {
    transform.apply(set.get(indices[i]), unused, images[static_cast<int64_t>(i)].data_ptr<float>());
  }
  const auto records = record_routing(loaded_.model, name_, images.to(device_));
  summary_.add(records);
  if (images_.size() >= count_) {
    return;
  }
  const auto pictures = to_pictures(images, preprocess_.mean, preprocess_.std);
  for (size_t i = 0; i < pictures.size() && images_.size() < count_; ++i) {
    images_.push_back({.picture = pictures[i], .caption = captions[i]});
  }
  records_.push_back(records);
}

std::vector<int64_t> RoutingInspection::blocks_to_draw(const std::vector<int64_t>& asked) const {
  std::vector<int64_t> known;
  std::string names;
  for (const auto& [block, record] : records_.front()) {
    known.push_back(block);
    names += (names.empty() ? "" : ", ") + std::to_string(block);
  }
  for (const int64_t block : asked) {
    if (!records_.front().contains(block)) {
      throw UsageError("--blocks", "MoE blocks of the model: " + names, std::to_string(block));
    }
  }
  return asked.empty() ? known : asked;
}

RoutingRecord RoutingInspection::drawn_record(int64_t block) const {
  std::vector<torch::Tensor> dispatch;
  std::vector<torch::Tensor> combine;
  for (const auto& records : records_) {
    dispatch.push_back(records.at(block).dispatch);
    combine.push_back(records.at(block).combine);
  }
  const auto count = std::ssize(images_);
  return {.dispatch = torch::cat(dispatch).slice(0, 0, count),  // [images, tokens, experts, slots]
          .combine = torch::cat(combine).slice(0, 0, count)};
}

std::vector<DispatchSheet> RoutingInspection::draw(const DispatchMapOptions& options) const {
  TORCH_CHECK_VALUE(!images_.empty(), "RoutingInspection: no image to draw");
  std::vector<DispatchSheet> sheets;
  for (const int64_t block : blocks_to_draw(options.blocks)) {
    const auto record = drawn_record(block);
    const auto slots = choose_slots(record, options.slots, options.slot_choice);
    const int64_t all_slots = record.dispatch.size(2) * record.dispatch.size(3);
    sheets.push_back(
        {.block = block,
         .slots = slots,
         .caption = sheet_caption(kind_, slots.size(), all_slots, enum_name(options.slot_choice)),
         .picture =
             draw_dispatch_sheet(images_, record, loaded_.model->options(), slots, options)});
  }
  return sheets;
}

}  // namespace softmoe

#include "eval/retrieval.h"

#include <ATen/Functions.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "core/tensor_check.h"

namespace softmoe {
namespace {

constexpr std::array<int64_t, 3> kRecallAt{1, 5, 10};
constexpr int64_t kSimilarities = int64_t{1} << 24;  // that are held at once

/// For each query the number of results that come before its best match, [queries]: query i matches
/// the results of its group.
torch::Tensor match_ranks(const torch::Tensor& queries, const torch::Tensor& results,
                          const torch::Tensor& query_groups, const torch::Tensor& result_groups) {
  const int64_t rows = std::max<int64_t>(1, kSimilarities / std::max<int64_t>(1, results.size(0)));
  std::vector<torch::Tensor> ranks;
  for (int64_t first = 0; first < queries.size(0); first += rows) {
    const int64_t end = std::min(first + rows, queries.size(0));
    const auto similarities = queries.slice(0, first, end).matmul(results.t());  // [rows, results]
    const auto is_match = query_groups.slice(0, first, end)
                              .unsqueeze(1)
                              .eq(result_groups.unsqueeze(0));  // [rows, results]
    const auto best = std::get<0>(
        similarities.masked_fill(is_match.logical_not(), -std::numeric_limits<double>::infinity())
            .max(1, /*keepdim=*/true));  // [rows, 1]
    const auto is_before = similarities.ge(best).logical_and(is_match.logical_not());
    ranks.push_back(is_before.sum(1));  // [rows]
  }
  return at::cat(ranks);  // [queries]
}

std::map<int64_t, double> recalls(const torch::Tensor& ranks) {
  std::map<int64_t, double> shares;
  for (const auto k : kRecallAt) {
    shares[k] = ranks.lt(k).to(torch::kFloat64).mean().item<double>();
  }
  return shares;
}

Json recall_json(const std::map<int64_t, double>& recalls) {
  Json json;
  for (const auto& [k, share] : recalls) {
    json["recall_at_" + std::to_string(k)] = share;
  }
  return json;
}

}  // namespace

CaptionIndex CaptionIndex::of(int64_t images, const std::function<std::string(int64_t)>& caption) {
  CaptionIndex index;
  std::unordered_map<std::string, int64_t> place_of;
  for (int64_t image = 0; image < images; ++image) {
    const auto [at, is_new] = place_of.try_emplace(caption(image), std::ssize(index.texts));
    if (is_new) {
      index.texts.push_back(at->first);
    }
    index.text_of.push_back(at->second);
  }
  return index;
}

double RetrievalResult::mean(int64_t k) const {
  return 0.5 * (text_of_image.at(k) + image_of_text.at(k));
}

RetrievalResult retrieval(const torch::Tensor& images, const torch::Tensor& texts,
                          const std::vector<int64_t>& text_of) {
  check_shape("retrieval: images", images, {std::ssize(text_of), -1});
  check_shape("retrieval: texts", texts, {-1, images.size(1)});
  const auto of_images = torch::tensor(text_of, torch::kInt64).to(images.device());  // [images]
  const auto of_texts = at::arange(texts.size(0), of_images.options());              // [texts]
  return {.images = images.size(0),
          .texts = texts.size(0),
          .text_of_image = recalls(match_ranks(images, texts, of_images, of_texts)),
          .image_of_text = recalls(match_ranks(texts, images, of_texts, of_images))};
}

std::string recall_text(const RetrievalResult& result) {
  const auto text = [](const std::map<int64_t, double>& shares) {
    std::string parts;
    for (const auto& [k, share] : shares) {
      parts += fmt::format("R@{} {:.3f} ", k, 100 * share);
    }
    return parts;
  };
  return text(result.text_of_image) + "(texts of images), " + text(result.image_of_text) +
         "(images of texts)";
}

Json to_json(const RetrievalResult& result) {
  return {{"images", result.images},
          {"texts", result.texts},
          {"text_of_image", recall_json(result.text_of_image)},
          {"image_of_text", recall_json(result.image_of_text)}};
}

}  // namespace softmoe

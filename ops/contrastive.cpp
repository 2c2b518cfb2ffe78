#include "ops/contrastive.h"

#include <ATen/Functions.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <functional>

#include "core/tensor_check.h"
#include "runtime/autocast_guard.h"

namespace softmoe {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using Variables = torch::autograd::variable_list;

/// Logits of all texts for the images [begin, end).
struct LogitChunk {
  int64_t begin;
  int64_t end;
  torch::Tensor cosines;  ///< [rows, batch]
  torch::Tensor logits;   ///< [rows, batch]
  torch::Tensor same;     ///< [rows, batch] bool: they are of one group

  torch::Tensor rows_of(const torch::Tensor& x) const { return x.slice(0, begin, end); }
};

/// The pairs of a loss, without gradients.
struct PairChunks {
  torch::Tensor images;
  torch::Tensor texts;
  torch::Tensor scale;  ///< []
  torch::Tensor bias;   ///< []
  torch::Tensor groups;
  int64_t rows;

  int64_t batch() const { return images.size(0); }

  void for_each(const std::function<void(const LogitChunk&)>& use) const {
    for (int64_t begin = 0; begin < batch(); begin += rows) {
      const int64_t end = std::min(begin + rows, batch());
      LogitChunk chunk{.begin = begin, .end = end, .cosines = {}, .logits = {}, .same = {}};
      chunk.cosines = chunk.rows_of(images).matmul(texts.t());                  // [rows, batch]
      chunk.logits = chunk.cosines * scale + bias;                              // [rows, batch]
      chunk.same = chunk.rows_of(groups).unsqueeze(1).eq(groups.unsqueeze(0));  // [rows, batch]
      use(chunk);
    }
  }
};

/// The number of texts in the group of each image, [rows, 1].
torch::Tensor group_sizes(const LogitChunk& chunk, const torch::Tensor& like) {
  return chunk.same.sum(1, /*keepdim=*/true).to(like.scalar_type());
}

/// A contrastive loss and the derivative of it by the logits.
struct ContrastiveRow {
  /// Returns the loss [] and what derivative() wants of it.
  std::pair<torch::Tensor, Variables> (*forward)(const PairChunks& pairs);
  /// The derivative of the loss by the logits of `chunk`, [rows, batch].
  torch::Tensor (*derivative)(const PairChunks& pairs, const LogitChunk& chunk,
                              const Variables& kept);
};

std::pair<torch::Tensor, Variables> softmax_forward(const PairChunks& pairs) {
  const auto over_texts = at::empty({pairs.batch()}, pairs.images.options());  // [batch]
  auto over_images = at::full({pairs.batch()}, -std::numeric_limits<double>::infinity(),
                              pairs.images.options());  // [batch]
  auto own = at::zeros({}, pairs.images.options());     // []
  pairs.for_each([&](const LogitChunk& chunk) {
    chunk.rows_of(over_texts).copy_(chunk.logits.logsumexp(1));              // [rows]
    over_images = at::logaddexp(over_images, chunk.logits.logsumexp(0));     // [batch]
    const auto sums = (chunk.logits * chunk.same).sum(1, /*keepdim=*/true);  // [rows, 1]
    own = own + (sums / group_sizes(chunk, sums)).sum();                     // []
  });
  const auto loss =
      0.5 * (over_texts + over_images).mean() - own / static_cast<double>(pairs.batch());  // []
  return {loss, {over_texts, over_images}};
}

torch::Tensor softmax_derivative(const PairChunks& pairs, const LogitChunk& chunk,
                                 const Variables& kept) {
  const auto batch = static_cast<double>(pairs.batch());
  const auto of_texts =
      (chunk.logits - chunk.rows_of(kept[0]).unsqueeze(1)).exp();  // [rows, batch]
  const auto of_images = (chunk.logits - kept[1]).exp();           // [rows, batch]
  const auto targets = chunk.same / group_sizes(chunk, of_texts);  // [rows, batch]
  return (0.5 * (of_texts + of_images) - targets) / batch;         // [rows, batch]
}

std::pair<torch::Tensor, Variables> sigmoid_forward(const PairChunks& pairs) {
  auto sum = at::zeros({}, pairs.images.options());  // []
  pairs.for_each([&](const LogitChunk& chunk) {
    const auto wrong = at::where(chunk.same, -chunk.logits, chunk.logits);  // [rows, batch]
    // log(1 + exp(x)), exact for large x.
    sum = sum + (wrong.clamp_min(0) + (-wrong.abs()).exp().log1p()).sum();  // []
  });
  return {sum / static_cast<double>(pairs.batch()), {}};
}

torch::Tensor sigmoid_derivative(const PairChunks& pairs, const LogitChunk& chunk,
                                 const Variables& /*kept*/) {
  return (chunk.logits.sigmoid() - chunk.same.to(chunk.logits.scalar_type())) /
         static_cast<double>(pairs.batch());  // [rows, batch]
}

constexpr ContrastiveRow kSoftmax{softmax_forward, softmax_derivative};
constexpr ContrastiveRow kSigmoid{sigmoid_forward, sigmoid_derivative};

PairChunks chunks_of(const Variables& tensors, int64_t rows) {
  return {.images = tensors[0],
          .texts = tensors[1],
          .scale = tensors[2].exp(),
          .bias = tensors[3],
          .groups = tensors[4],
          .rows = rows};
}

class ContrastiveLoss : public torch::autograd::Function<ContrastiveLoss> {
 public:
  static Variable forward(AutogradContext* context, const Variable& images, const Variable& texts,
                          const Variable& log_scale, const Variable& bias, const Variable& groups,
                          int64_t rows, bool is_sigmoid) {
    const AutocastGuard exact(images.device(), torch::kFloat32);
    const Variables given{images, texts, log_scale, bias, groups};
    const auto& row = is_sigmoid ? kSigmoid : kSoftmax;
    auto [loss, kept] = row.forward(chunks_of(given, rows));
    auto saved = given;
    saved.insert(saved.end(), kept.begin(), kept.end());
    context->save_for_backward(saved);
    context->saved_data["rows"] = rows;
    context->saved_data["is_sigmoid"] = is_sigmoid;
    return loss;
  }

  static Variables backward(AutogradContext* context, const Variables& gradients) {
    const auto saved = context->get_saved_variables();
    const auto& row = context->saved_data["is_sigmoid"].toBool() ? kSigmoid : kSoftmax;
    const auto pairs = chunks_of(saved, context->saved_data["rows"].toInt());
    const Variables kept(saved.begin() + 5, saved.end());
    const auto images = at::empty_like(pairs.images);  // [batch, dim]
    auto texts = at::zeros_like(pairs.texts);          // [batch, dim]
    auto scale = at::zeros_like(pairs.scale);          // []
    auto bias = at::zeros_like(pairs.bias);            // []
    pairs.for_each([&](const LogitChunk& chunk) {
      const auto by_logits = row.derivative(pairs, chunk, kept);                    // [rows, batch]
      chunk.rows_of(images).copy_(by_logits.matmul(pairs.texts) * pairs.scale);     // [rows, dim]
      texts.add_(by_logits.t().matmul(chunk.rows_of(pairs.images)) * pairs.scale);  // [batch, dim]
      scale.add_((by_logits * chunk.cosines).sum() * pairs.scale);                  // []
      bias.add_(by_logits.sum());                                                   // []
    });
    const auto& by_loss = gradients[0];  // []
    return {images * by_loss, texts * by_loss, scale * by_loss, bias * by_loss,
            Variable(),       Variable(),      Variable()};
  }
};

torch::Tensor contrastive_loss(const EmbeddedPairs& pairs, int64_t rows, bool is_sigmoid) {
  check_shape("contrastive loss: images", pairs.images, {-1, -1});
  check_shape("contrastive loss: texts", pairs.texts, {pairs.images.size(0), pairs.images.size(1)});
  TORCH_CHECK_VALUE(rows > 0, "contrastive loss: rows must be positive");
  const auto dtype =
      pairs.images.scalar_type() == torch::kFloat64 ? torch::kFloat64 : torch::kFloat32;
  const auto options = pairs.images.options().dtype(dtype);
  const auto groups = pairs.groups.defined()
                          ? pairs.groups
                          : at::arange(pairs.images.size(0),
                                       pairs.images.options().dtype(torch::kInt64));  // [batch]
  check_shape("contrastive loss: groups", groups, {pairs.images.size(0)});
  const auto bias = pairs.bias.defined() ? pairs.bias.to(dtype) : at::zeros({}, options);  // []
  return ContrastiveLoss::apply(pairs.images.to(dtype), pairs.texts.to(dtype),
                                pairs.log_scale.to(dtype), bias, groups, rows, is_sigmoid);
}

}  // namespace

torch::Tensor softmax_contrastive_loss(const EmbeddedPairs& pairs, int64_t rows) {
  return contrastive_loss(pairs, rows, /*is_sigmoid=*/false);
}

torch::Tensor sigmoid_contrastive_loss(const EmbeddedPairs& pairs, int64_t rows) {
  return contrastive_loss(pairs, rows, /*is_sigmoid=*/true);
}

}  // namespace softmoe

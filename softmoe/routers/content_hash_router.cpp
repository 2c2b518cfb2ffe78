#include "softmoe/routers/content_hash_router.h"

#include <bit>

#include "core/rng.h"
#include "core/tensor_check.h"
#include "runtime/autocast_guard.h"
#include "softmoe/assignment/kmeans.h"
#include "softmoe/routers/hash_maps.h"

namespace softmoe {
namespace {

constexpr int64_t kChunkRows = 4096;
/// Patches of the sample that a codebook of that many codes is learned from.
constexpr int64_t kPatchesPerCode = 100;
constexpr int64_t kMaxSampleValues = int64_t{1} << 25;

int64_t projection_bits(int64_t codes) {
  TORCH_CHECK_VALUE(codes >= 2, "ContentHashRouter: hash_codes must be at least 2, found ", codes);
  return static_cast<int64_t>(std::bit_width(static_cast<uint64_t>(codes))) - 1;
}

int64_t code_count(int64_t codes, ContentCode kind) {
  return kind == ContentCode::kKMeans ? codes : int64_t{1} << projection_bits(codes);
}

/// Some of `patches` [count, pixels] drawn at random: neighbouring rows are neighbouring patches.
torch::Tensor drawn_patches(const torch::Tensor& patches, int64_t max_count, uint64_t key) {
  if (patches.size(0) <= max_count) {
    return patches;
  }
  Rng rng(key);
  auto order = random_permutation(patches.size(0), rng);
  order.resize(static_cast<size_t>(max_count));
  return patches.index_select(0, torch::tensor(order, torch::kInt64).to(patches.device()));
}

}  // namespace

ContentHashRouterImpl::ContentHashRouterImpl(const MoeLayerOptions& options, ContentCode kind)
    : options_(options),
      kind_(kind),
      bits_(projection_bits(options.moe.sparse.hash_codes)),
      codes_(code_count(options.moe.sparse.hash_codes, kind)) {
  ContentHashRouterImpl::reset();
}

void ContentHashRouterImpl::reset() {
  const int64_t pixels = options_.patch_pixels;
  const auto key = stream_key(static_cast<uint64_t>(options_.moe.sparse.hash_seed), "content hash");
  if (kind_ == ContentCode::kKMeans) {
    codebook = register_buffer("codebook", random_fixed_point(codes_, pixels, key));
  } else {
    projection = register_buffer("projection", random_fixed_point(pixels, bits_, key));
    threshold = register_buffer("threshold", torch::zeros({bits_}, torch::kInt64));
  }
  expert_of_code = register_buffer("expert_of_code", modulo_map(codes_, options_.moe.experts));
  fitted = register_buffer("fitted", torch::zeros({}, torch::kInt64));
}

torch::Tensor ContentHashRouterImpl::codes_of_points(const torch::Tensor& points) const {
  return kind_ == ContentCode::kKMeans
             ? nearest_centers(points, codebook.to(torch::kFloat64))
             : projection_codes(points, projection.to(torch::kFloat64),
                                threshold.to(torch::kFloat64));  // [count]
}

torch::Tensor ContentHashRouterImpl::codes(const torch::Tensor& patches) const {
  check_shape("ContentHashRouter: patches", patches, {-1, options_.patch_pixels});
  const torch::NoGradGuard no_grad;
  const AutocastGuard exact(patches.device(), torch::kFloat32);
  std::vector<torch::Tensor> parts;
  for (const auto& chunk : patches.split(kChunkRows)) {
    parts.push_back(codes_of_points(fixed_point(chunk)));
  }
  return torch::cat(parts);  // [count]
}

Routed ContentHashRouterImpl::decide(const torch::Tensor& tokens, const TokenContext& context,
                                     RoutingRecord* record) {
  check_shape("ContentHashRouter: tokens", tokens, {-1, -1, options_.dim});
  const int64_t batch = tokens.size(0);
  const int64_t experts = options_.moe.experts;
  const int64_t patches = context.patches.defined() ? context.patches.size(1) : 0;
  TORCH_CHECK_VALUE(patches <= tokens.size(1), "ContentHashRouter: ", patches, " patches for ",
                    tokens.size(1), " tokens");
  auto expert = torch::arange(tokens.size(1) - patches, expert_of_code.options())
                    .remainder(experts)
                    .expand({batch, -1});  // [batch, tokens without a patch]
  if (patches > 0) {
    check_shape("ContentHashRouter: patches", context.patches, {batch, patches, -1});
    if (!context.codes.defined()) {
      context.codes = codes(context.patches.flatten(0, 1)).view({batch, patches});
    }
    const auto of_patch = expert_of_code.index_select(0, context.codes.flatten());
    expert = torch::cat({expert, of_patch.view({batch, patches})}, 1);  // [batch, tokens]
  }
  return decide_by_expert(expert, experts, record);
}

RouterSample ContentHashRouterImpl::wanted_sample() const {
  return fitted.item<int64_t>() == 0 ? RouterSample::kPatches : RouterSample::kNone;
}

void ContentHashRouterImpl::learn_codes(const torch::Tensor& patches) {
  const auto seed = static_cast<uint64_t>(options_.moe.sparse.hash_seed);
  const int64_t max_count = std::min(kPatchesPerCode * codes_,
                                     std::max(codes_, kMaxSampleValues / options_.patch_pixels));
  const auto points =
      fixed_point(drawn_patches(patches, max_count, stream_key(seed, "patches"))).cpu();
  if (kind_ == ContentCode::kKMeans) {
    codebook.copy_(
        kmeans(points, {.clusters = codes_, .seed = stream_key(seed, "k-means")}).centers);
  } else {
    const auto projected = points.matmul(projection.cpu().to(torch::kFloat64));  // [count, bits]
    threshold.copy_(std::get<0>(projected.median(0)));
  }
}

void ContentHashRouterImpl::fit(const torch::Tensor& patches, const Router* twin) {
  check_shape("ContentHashRouter: patches", patches, {-1, options_.patch_pixels});
  const torch::NoGradGuard no_grad;
  if (const auto* other = dynamic_cast<const ContentHashRouterImpl*>(twin);
      other != nullptr && other->kind_ == kind_) {
    for (auto& buffer : named_buffers()) {
      buffer.value().copy_(other->named_buffers()[buffer.key()]);
    }
    return;
  }
  learn_codes(patches);
  const auto counts = torch::bincount(codes(patches), {}, codes_);  // [codes]
  expert_of_code.copy_(deal_codes(counts, options_.moe.experts));
  fitted.fill_(1);
}

RouterCost content_hash_cost(const MoeLayerOptions& options, ContentCode kind) {
  const int64_t codes = options.moe.sparse.hash_codes;
  const int64_t columns = kind == ContentCode::kKMeans ? codes : projection_bits(codes);
  const auto patches = static_cast<double>(options.grid_height * options.grid_width);
  return {.parameters = 0,
          .multiply_adds = 0.0,
          .expert_rows = static_cast<double>(options.tokens),
          .shared_multiply_adds =
              patches * static_cast<double>(options.patch_pixels) * static_cast<double>(columns)};
}

}  // namespace softmoe

#include "softmoe/routers.h"

#include <array>

#include "core/registry.h"
#include "softmoe/soft_router.h"

namespace softmoe {
namespace {

template <SoftMixing mixing>
RouterHandle make_soft(const MoeLayerOptions& options) {
  return make_router_handle(std::make_shared<SoftRouterImpl>(options, mixing));
}

constexpr std::string_view kSoftMoe = "arXiv:2308.00951";

constexpr std::array kRows{
    RouterRow{"soft", kSoftMoe, "slots are learned averages of tokens, outputs of slots", true,
              make_soft<SoftMixing::kSoft>},
    RouterRow{"soft_uniform", kSoftMoe, "learned dispatch, uniform combine", true,
              make_soft<SoftMixing::kSoftUniform>},
    RouterRow{"uniform_soft", kSoftMoe, "uniform dispatch, learned combine", true,
              make_soft<SoftMixing::kUniformSoft>},
    RouterRow{"uniform", kSoftMoe,
              "every slot the average of all tokens, every output of all slots", false,
              make_soft<SoftMixing::kUniform>},
    RouterRow{"identity", kSoftMoe, "token i is slot i; as many slots as tokens", false,
              make_soft<SoftMixing::kIdentity>},
};

}  // namespace

std::span<const RouterRow> router_rows() { return kRows; }

std::vector<std::string> router_names() {
  std::vector<std::string> names;
  for (const auto& row : kRows) {
    names.emplace_back(row.name);
  }
  return names;
}

RouterHandle make_router(const MoeLayerOptions& options) {
  TORCH_CHECK_VALUE(options.dim > 0 && options.hidden_dim > 0 && options.moe.experts > 0,
                    "MoE layer: dim, hidden_dim and experts must be positive, found ", options.dim,
                    ", ", options.hidden_dim, " and ", options.moe.experts);
  return find_row(router_rows(), options.moe.router, "router").make(options);
}

}  // namespace softmoe

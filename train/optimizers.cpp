#include "train/optimizers.h"

#include <array>

#include "core/registry.h"
#include "train/adamw.h"
#include "train/sgd.h"

namespace softmoe {
namespace {

template <typename Member>
std::unique_ptr<Optimizer> make(const std::vector<NamedParameter>& parameters,
                                const OptimizerOptions& options) {
  return std::make_unique<Member>(parameters, options);
}

constexpr std::array<OptimizerRow, 2> kOptimizers{{
    {"adamw", "arXiv:1711.05101", make<AdamW>},
    {"sgd", "momentum as in arXiv:1609.04747, section 4.1", make<Sgd>},
}};

}  // namespace

std::span<const OptimizerRow> optimizers() { return kOptimizers; }

std::unique_ptr<Optimizer> make_optimizer(const std::vector<NamedParameter>& parameters,
                                          const OptimizerOptions& options) {
  return find_row(optimizers(), options.opt, "optimizer").make(parameters, options);
}

}  // namespace softmoe

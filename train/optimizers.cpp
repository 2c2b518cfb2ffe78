#include "train/optimizers.h"

#include <array>

#include "core/registry.h"
#include "train/adafactor.h"
#include "train/adamw.h"
#include "train/adamw_8bit.h"
#include "train/lamb.h"
#include "train/lion.h"
#include "train/muon.h"
#include "train/sgd.h"

namespace softmoe {
namespace {

template <typename Member>
std::unique_ptr<Optimizer> make(const std::vector<NamedParameter>& parameters,
                                const OptimizerOptions& options) {
  return std::make_unique<Member>(parameters, options);
}

constexpr std::array<OptimizerRow, 7> kOptimizers{{
    {"adamw", "arXiv:1711.05101", true, {}, make<AdamW>},
    {"adamw8bit", "arXiv:2110.02861", false, {}, make<AdamW8Bit>},
    {"sgd", "momentum as in arXiv:1609.04747, section 4.1", true, {}, make<Sgd>},
    {"adafactor", "arXiv:1804.04235 as in big_vision", false, {}, make<Adafactor>},
    {"lamb", "arXiv:1904.00962", false, {.opt_eps = 1e-6}, make<Lamb>},
    {"lion", "arXiv:2302.06675", true, {.beta2 = 0.99}, make<Lion>},
    {"muon",
     "Jordan et al. 2024, scaled as in arXiv:2502.16982",
     true,
     {.momentum = 0.95},
     make<Muon>},
}};

}  // namespace

std::span<const OptimizerRow> optimizers() { return kOptimizers; }

void fit_optimizer(OptimizerOptions& options, const std::set<std::string>& keep) {
  const auto& usual = find_row(optimizers(), options.opt, "optimizer").usual;
  const OptimizerOptions untouched;
  const auto fit = [&](const char* name, double OptimizerOptions::*member, double value) {
    if (!keep.contains(name) && options.*member == untouched.*member) {
      options.*member = value;
    }
  };
  fit("momentum", &OptimizerOptions::momentum, usual.momentum);
  fit("beta2", &OptimizerOptions::beta2, usual.beta2);
  fit("opt-eps", &OptimizerOptions::opt_eps, usual.opt_eps);
}

std::unique_ptr<Optimizer> make_optimizer(const std::vector<NamedParameter>& parameters,
                                          const OptimizerOptions& options) {
  return find_row(optimizers(), options.opt, "optimizer").make(parameters, options);
}

}  // namespace softmoe

#include "softmoe/routers/tokens_choice.h"

#include "core/tensor_check.h"
#include "softmoe/assignment/top_gates.h"
#include "softmoe/assignment/top_indices.h"

namespace softmoe {
namespace {

torch::Tensor gates_of_all(const torch::Tensor& logits, GateFunction function) {
  return function == GateFunction::kSigmoid ? logits.sigmoid() : logits.softmax(-1);
}

/// Rows within a group's buffers, one pass over the pairs of one group.
struct BufferFiller {
  int64_t tokens;
  int64_t choices;
  int64_t capacity;
  std::vector<int64_t> filled;  ///< rows taken of each expert
  int64_t fullest = 0;          ///< of all groups so far

  /// `order` [tokens] or null; writes each pair's row, or -1, to `row` [tokens, choices].
  void fill(const int64_t* expert, const int64_t* order, int64_t* row) {
    std::fill(filled.begin(), filled.end(), 0);
    for (int64_t choice = 0; choice < choices; ++choice) {
      for (int64_t position = 0; position < tokens; ++position) {
        const int64_t token = order == nullptr ? position : order[position];
        const int64_t pair = token * choices + choice;
        row[pair] = expert[pair] < 0 ? -1 : take(expert[pair]);
      }
    }
  }

  int64_t take(int64_t expert) {
    TORCH_CHECK_VALUE(expert < static_cast<int64_t>(filled.size()), "place_choices: expert ",
                      expert, " of ", filled.size());
    auto& count = filled[static_cast<size_t>(expert)];
    if (count == capacity) {
      return -1;
    }
    fullest = std::max(fullest, count + 1);
    return count++;
  }
};

}  // namespace

ChosenExperts choose_experts(const torch::Tensor& logits, const torch::Tensor& selection_bias,
                             const SparseOptions& options) {
  const bool softmax_after =
      options.gate_order == GateOrder::kAfter && options.gate_function == GateFunction::kSoftmax;
  ChosenExperts chosen;
  if (softmax_after || selection_bias.defined() ||
      options.gate_function == GateFunction::kSigmoid) {
    // The softmax keeps the order of logits: if only the order matters, it can be left out.
    const auto scores = softmax_after && !selection_bias.defined()
                            ? logits
                            : gates_of_all(logits, options.gate_function);
    const auto ranked = selection_bias.defined() ? scores.detach() + selection_bias
                                                 : scores.detach();  // [groups, tokens, experts]
    chosen.expert = top_indices(ranked, options.top_k);              // [groups, tokens, top_k]
    chosen.gate = softmax_after ? logits.gather(-1, chosen.expert).softmax(-1)
                                : scores.gather(-1, chosen.expert);  // [groups, tokens, top_k]
  } else {
    auto top = top_gates_of_tokens(logits, options.top_k);
    chosen.expert = top.index;  // [groups, tokens, top_k]
    chosen.gate = top.gate;     // [groups, tokens, top_k]
  }
  chosen.priority = chosen.gate.detach().amax(-1);  // [groups, tokens]
  if (options.renormalize_gates) {
    const auto sum = chosen.gate.sum(-1, /*keepdim=*/true);  // [groups, tokens, 1]
    chosen.gate = chosen.gate / sum.clamp_min(1e-20);        // [groups, tokens, top_k]
  }
  return chosen;
}

torch::Tensor sample_later_choices(const ChosenExperts& chosen, double threshold) {
  auto expert = chosen.expert.clone();  // [groups, tokens, top_k]
  const int64_t later = expert.size(-1) - 1;
  const auto chance =
      chosen.gate.detach().narrow(-1, 1, later) / threshold;  // [groups, tokens, top_k - 1]
  expert.narrow(-1, 1, later).masked_fill_(torch::rand_like(chance) >= chance, -1);
  return expert;
}

ChoicePlaces place_choices(const torch::Tensor& expert, const torch::Tensor& priority,
                           int64_t experts, int64_t capacity) {
  check_shape("place_choices: experts", expert, {-1, -1, -1});
  const int64_t groups = expert.size(0);
  const int64_t tokens = expert.size(1);
  const int64_t choices = expert.size(2);
  const auto asked = expert.cpu().contiguous();  // [groups, tokens, top_k]
  torch::Tensor order;                           // [groups, tokens]
  if (priority.defined()) {
    check_shape("place_choices: priority", priority, {groups, tokens});
    order = priority.cpu().argsort(/*stable=*/true, /*dim=*/1, /*descending=*/true).contiguous();
  }
  auto place = torch::empty({groups * tokens, choices}, asked.options());
  BufferFiller filler{.tokens = tokens,
                      .choices = choices,
                      .capacity = capacity,
                      .filled = std::vector<int64_t>(static_cast<size_t>(experts))};
  const auto* asked_data = asked.const_data_ptr<int64_t>();
  const auto* order_data = priority.defined() ? order.const_data_ptr<int64_t>() : nullptr;
  auto* place_data = place.data_ptr<int64_t>();
  const int64_t pairs = tokens * choices;
  for (int64_t group = 0; group < groups; ++group) {
    filler.fill(asked_data + group * pairs,
                order_data == nullptr ? nullptr : order_data + group * tokens,
                place_data + group * pairs);
  }
  const int64_t rows = groups * filler.fullest;
  for (int64_t pair = 0; pair < groups * pairs; ++pair) {
    if (place_data[pair] >= 0) {
      place_data[pair] += asked_data[pair] * rows + pair / pairs * filler.fullest;
    }
  }
  return {.place = place.to(expert.device()), .rows = rows};
}

torch::Tensor count_choices(const torch::Tensor& expert, int64_t experts) {
  // Choices of no expert are counted before expert 0.
  return (expert.flatten() + 1).bincount(/*weights=*/{}, experts + 1).narrow(0, 1, experts);
}

torch::Tensor balancing_step(const torch::Tensor& counts) {
  const auto precise = counts.to(torch::kFloat64);  // [experts]
  const auto sign = (precise.mean() - precise).sign();
  return sign - sign.mean();  // [experts]
}

}  // namespace softmoe

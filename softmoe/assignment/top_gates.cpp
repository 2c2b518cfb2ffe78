#include "softmoe/assignment/top_gates.h"

#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include "core/tensor_check.h"
#include "softmoe/assignment/ranking.h"
#include "softmoe/assignment/top_indices.h"

namespace softmoe {
namespace {

/// Rows whose softmax stays in the cache.
int64_t rows_of_block(int64_t experts) {
  constexpr int64_t kGatesOfBlock = 1 << 15;
  return std::max<int64_t>(1, kGatesOfBlock / experts);
}

/// The softmax of rows [begin, end) of `logits` [rows, experts] into the first rows of `gates`.
torch::Tensor softmax_of_rows(const torch::Tensor& logits, int64_t begin, int64_t end,
                              torch::Tensor& gates) {
  auto block = gates.narrow(0, 0, end - begin);
  at::_softmax_out(block, logits.narrow(0, begin, end - begin), /*dim=*/1,
                   /*half_to_float=*/false);
  return block;  // [rows of the block, experts]
}

/// Calls `take(row, gates)` for rows [begin, end) of the softmax of `logits` [rows, experts].
template <typename Score, typename Take>
void for_each_row(const torch::Tensor& logits, int64_t begin, int64_t end, const Take& take) {
  const int64_t experts = logits.size(1);
  const int64_t step = rows_of_block(experts);
  auto buffer = torch::empty({std::min(step, end - begin), experts}, logits.options());
  for (int64_t first = begin; first < end; first += step) {
    const int64_t last = std::min(end, first + step);
    const auto block = softmax_of_rows(logits, first, last, buffer);
    const auto* gates = block.const_data_ptr<Score>();
    for (int64_t row = first; row < last; ++row) {
      take(row, std::span(gates + (row - first) * experts, static_cast<size_t>(experts)));
    }
  }
}

template <typename Score>
void write(std::span<const Candidate<Score>> best, int64_t* index, Score* gate) {
  for (const auto& candidate : best) {
    *index++ = candidate.index;
    *gate++ = candidate.score;
  }
}

/// Of each row of `logits` [rows, experts]; fills `top` [rows, count].
template <typename Score>
void rank_experts(const torch::Tensor& logits, TopGates& top) {
  const int64_t count = top.index.size(-1);
  auto* index = top.index.data_ptr<int64_t>();
  auto* gate = top.gate.data_ptr<Score>();
  at::parallel_for(0, logits.size(0), rows_of_block(logits.size(1)),
                   [&](int64_t begin, int64_t end) {
                     std::vector<Candidate<Score>> best(static_cast<size_t>(count));
                     for_each_row<Score>(logits, begin, end, [&](int64_t row, auto gates) {
                       rank_row<Score>(gates, best);
                       write<Score>(best, index + row * count, gate + row * count);
                     });
                   });
}

/// The best tokens of all experts of one group, offered token by token.
template <typename Score>
class ExpertRanking {
 public:
  ExpertRanking(int64_t experts, int64_t count)
      : count_(count),
        best_(static_cast<size_t>(experts * count)),
        last_(static_cast<size_t>(experts)) {}

  void offer(int64_t token, std::span<const Score> gates) {
    if (token >= count_) {
      for (size_t expert = 0; expert < gates.size(); ++expert) {
        if (gates[expert] > last_[expert]) {
          replace_last(of(expert), {gates[expert], token});
          last_[expert] = of(expert).front().score;
        }
      }
      return;
    }
    for (size_t expert = 0; expert < gates.size(); ++expert) {
      of(expert)[static_cast<size_t>(token)] = candidate(gates[expert], token);
      if (token + 1 == count_) {
        start_ranking(of(expert));
        last_[expert] = of(expert).front().score;
      }
    }
  }

  void finish(int64_t* index, Score* gate) {
    for (size_t expert = 0; expert < last_.size(); ++expert) {
      finish_ranking(of(expert));
    }
    write<Score>(best_, index, gate);
  }

 private:
  std::span<Candidate<Score>> of(size_t expert) {
    return std::span(best_).subspan(expert * static_cast<size_t>(count_),
                                    static_cast<size_t>(count_));
  }

  int64_t count_;
  std::vector<Candidate<Score>> best_;  ///< [experts, count]
  std::vector<Score> last_;             ///< the worst of the best of each expert
};

/// Of each expert and group of `logits` [groups * tokens, experts]; fills `top`
/// [groups, experts, count].
template <typename Score>
void rank_tokens(const torch::Tensor& logits, TopGates& top) {
  const int64_t groups = top.index.size(0);
  const int64_t experts = top.index.size(1);
  const int64_t count = top.index.size(2);
  const int64_t tokens = logits.size(0) / groups;
  auto* index = top.index.data_ptr<int64_t>();
  auto* gate = top.gate.data_ptr<Score>();
  at::parallel_for(0, groups, 1, [&](int64_t begin, int64_t end) {
    for (int64_t group = begin; group < end; ++group) {
      ExpertRanking<Score> ranking(experts, count);
      for_each_row<Score>(
          logits, group * tokens, (group + 1) * tokens,
          [&](int64_t row, auto gates) { ranking.offer(row - group * tokens, gates); });
      ranking.finish(index + group * experts * count, gate + group * experts * count);
    }
  });
}

/// The gates [picks] at `place` [picks] of softmax(logits [rows, experts]), which are known.
class PickedGates : public torch::autograd::Function<PickedGates> {
 public:
  static torch::Tensor forward(torch::autograd::AutogradContext* context,
                               const torch::Tensor& logits, const torch::Tensor& gate,
                               const torch::Tensor& place) {
    context->save_for_backward({logits, gate, place});
    return gate.clone();
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const auto logits = saved[0].detach();
    const auto& place = saved[2];
    const auto pull = gradients[0] * saved[1];  // [picks]
    // The gradient of softmax is p (d - sum of d p), where d is 0 at all but the picks.
    const auto push = torch::zeros({logits.size(0)}, pull.options())
                          .index_add_(0, place.div(logits.size(1), "floor"), pull)
                          .neg_()
                          .unsqueeze(1);                             // [rows, 1]
    auto d_logits = torch::empty(logits.sizes(), logits.options());  // [rows, experts]
    at::parallel_for(
        0, logits.size(0), rows_of_block(logits.size(1)), [&](int64_t begin, int64_t end) {
          const torch::NoGradGuard no_grad;
          const int64_t step = rows_of_block(logits.size(1));
          for (int64_t first = begin; first < end; first += step) {
            const int64_t last = std::min(end, first + step);
            auto rows = d_logits.narrow(0, first, last - first);
            softmax_of_rows(logits, first, last, rows).mul_(push.narrow(0, first, last - first));
          }
        });
    d_logits.view(-1).index_add_(0, place, pull);
    return {d_logits, {}, {}};
  }
};

/// `row` and `expert` of each of the gates [...] that were found in `logits`.
torch::Tensor differentiable(const torch::Tensor& logits, const torch::Tensor& gate,
                             const torch::Tensor& row, const torch::Tensor& expert) {
  const auto place = row * logits.size(-1) + expert;  // [...]
  return PickedGates::apply(logits.flatten(0, 1), gate.flatten(), place.flatten())
      .view(gate.sizes());
}

template <typename Rank>
TopGates empty_and_rank(const torch::Tensor& logits, const std::vector<int64_t>& shape,
                        const Rank& rank) {
  const torch::NoGradGuard no_grad;
  const auto rows = logits.detach().flatten(0, 1).contiguous();  // [groups * tokens, experts]
  TopGates top{.index = torch::empty(shape, rows.options().dtype(torch::kInt64)),
               .gate = torch::empty(shape, rows.options())};
  rank(rows, top);
  return top;
}

/// Returns true if the passes of this file take `logits`; others get libtorch's operators.
bool is_ranked_here(const torch::Tensor& logits) {
  return logits.is_cpu() &&
         (logits.scalar_type() == torch::kFloat32 || logits.scalar_type() == torch::kFloat64);
}

TopGates top_by_operators(const torch::Tensor& gates, int64_t count) {
  const auto index = top_indices(gates, count);
  return {.index = index, .gate = gates.gather(-1, index)};
}

}  // namespace

TopGates top_gates_of_tokens(const torch::Tensor& logits, int64_t count) {
  check_shape("top_gates_of_tokens: logits", logits, {-1, -1, -1});
  const int64_t groups = logits.size(0);
  const int64_t tokens = logits.size(1);
  TORCH_CHECK_VALUE(count >= 1 && count <= logits.size(2), "top_gates_of_tokens: ", count, " of ",
                    logits.size(2), " experts");
  if (!is_ranked_here(logits)) {
    return top_by_operators(logits.softmax(-1), count);
  }
  auto top = empty_and_rank(
      logits, {groups, tokens, count}, [](const torch::Tensor& rows, TopGates& found) {
        rows.scalar_type() == torch::kFloat64 ? rank_experts<double>(rows, found)
                                              : rank_experts<float>(rows, found);
      });
  const auto row = torch::arange(groups * tokens, top.index.options()).view({groups, tokens, 1});
  top.gate = differentiable(logits, top.gate, row, top.index);
  return top;
}

TopGates top_gates_of_experts(const torch::Tensor& logits, int64_t count) {
  check_shape("top_gates_of_experts: logits", logits, {-1, -1, -1});
  const int64_t groups = logits.size(0);
  const int64_t tokens = logits.size(1);
  const int64_t experts = logits.size(2);
  TORCH_CHECK_VALUE(count >= 1 && count <= tokens, "top_gates_of_experts: ", count, " of ", tokens,
                    " tokens");
  if (!is_ranked_here(logits)) {
    return top_by_operators(logits.softmax(-1).transpose(1, 2), count);
  }
  auto top = empty_and_rank(
      logits, {groups, experts, count}, [](const torch::Tensor& rows, TopGates& found) {
        rows.scalar_type() == torch::kFloat64 ? rank_tokens<double>(rows, found)
                                              : rank_tokens<float>(rows, found);
      });
  const auto first = torch::arange(groups, top.index.options()).view({groups, 1, 1}) * tokens;
  const auto expert = torch::arange(experts, top.index.options()).view({1, experts, 1});
  top.gate = differentiable(logits, top.gate, top.index + first, expert);
  return top;
}

}  // namespace softmoe

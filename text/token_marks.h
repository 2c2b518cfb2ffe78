#pragma once
/// What tokenizers with marks of begin and end have in common.

#include <cstdint>
#include <vector>

namespace softmoe {

/// `ids` between `begin` and `end`, of which the last ones are cut off beyond `max_tokens`. Throws
/// c10::ValueError if `max_tokens` is less than 2.
std::vector<int64_t> with_marks(std::vector<int64_t> ids, int64_t begin, int64_t end,
                                int64_t max_tokens);

/// Throws c10::ValueError unless `id` is in [0, vocab_size).
void check_id(int64_t id, int64_t vocab_size);

}  // namespace softmoe

#include "text/token_marks.h"

#include <c10/util/Exception.h>

namespace softmoe {

std::vector<int64_t> with_marks(std::vector<int64_t> ids, int64_t begin, int64_t end,
                                int64_t max_tokens) {
  TORCH_CHECK_VALUE(max_tokens >= 2, "tokens per text must be at least 2, not ", max_tokens);
  if (std::ssize(ids) > max_tokens - 2) {
    ids.resize(static_cast<size_t>(max_tokens - 2));
  }
  ids.insert(ids.begin(), begin);
  ids.push_back(end);
  return ids;
}

void check_id(int64_t id, int64_t vocab_size) {
  TORCH_CHECK_VALUE(id >= 0 && id < vocab_size, "token ", id, " of a vocabulary of ", vocab_size);
}

}  // namespace softmoe

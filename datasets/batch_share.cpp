#include "datasets/batch_share.h"

namespace softmoe {

RowRange BatchShare::rows_of(int64_t rows) const {
  const int64_t together = rows % unit == 0 ? unit : rows;
  const int64_t units = rows / together;
  const int64_t first = units * rank / ranks * together;
  const int64_t end = units * (rank + 1) / ranks * together;
  return {.first = first, .count = end - first};
}

int64_t BatchShare::max_rows(int64_t rows) const {
  // A batch that is no multiple of the unit goes whole to one process.
  return ranks == 1 || unit > 1 ? rows : (rows + ranks - 1) / ranks;
}

}  // namespace softmoe

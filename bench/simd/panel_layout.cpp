#include "bench/simd/panel_layout.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <utility>
#include <vector>

#include "bench/simd/own_kernels.h"
#include "bench/simd/reference.h"
#include "bench/simd/rounds.h"

namespace softmoe::simd {
namespace {

/// Copies of one right factor, packed. Products take them in turns: with several copies, which
/// exceed the caches together, the weights come from memory.
struct Weights {
  Weights(const float* matrix, int64_t rows, int64_t columns, int64_t width, int64_t count)
      : depth(rows),
        size(rows * columns),
        panel_columns(width),
        copies(count),
        panels(count * size) {
    for (int64_t copy = 0; copy < copies; ++copy) {
      pack_panels(matrix, depth, columns, panel_columns, panels.data() + copy * size);
    }
  }

  RightFactor next() {
    turn = (turn + 1) % copies;
    return packed_factor(panels.data() + turn * size, depth, panel_columns);
  }

  int64_t depth;
  int64_t size;
  int64_t panel_columns;
  int64_t copies;
  Buffer panels;
  int64_t turn = 0;
};

struct Layout {
  const char* name;
  int64_t panel_columns;
  const TiledProduct* tiled;
};

void compare_sizes(const Kernels& kernels, const ProductSizes& sizes, int64_t copies, int rounds,
                   double seconds) {
  const int64_t rows = sizes.rows;
  const int64_t depth = sizes.depth;
  const int64_t columns = sizes.columns;
  const Layout layouts[] = {{"6x16, half of a panel of 32", 32, &kernels.narrow},
                            {"6x16, panels of 16", 16, &kernels.narrow},
                            {"3x32, panels of 32", 32, &kernels.wide}};
  Buffer a(rows * depth);
  Buffer matrix(depth * columns);
  Buffer out(rows * columns);
  fill(a.data(), rows * depth, 1);
  fill(matrix.data(), depth * columns, 2);
  std::vector<std::unique_ptr<Weights>> weights;
  std::vector<Work> works;
  for (const auto& layout : layouts) {
    weights.push_back(
        std::make_unique<Weights>(matrix.data(), depth, columns, layout.panel_columns, copies));
    const auto run = [&, own = weights.back().get(), multiply = layout.tiled->multiply] {
      multiply(rows, depth, columns, a.data(), depth, own->next(), out.data(), columns);
    };
    run();
    check_product(sizes, a.data(), matrix.data(), out.data());
    works.push_back(
        {"avx2", "", layout.name, 2.0 * static_cast<double>(rows * depth * columns), run});
  }
  measure(works, rounds, seconds);
  std::printf("| %ld x %ld x %ld | %s |", static_cast<long>(rows), static_cast<long>(depth),
              static_cast<long>(columns), copies > 1 ? "memory" : "cache");
  for (const auto& work : works) {
    std::printf(" %.1f (%.1f-%.1f) |", median(work), quantile(work, 0.25), quantile(work, 0.75));
  }
  std::printf("\n");
  std::fflush(stdout);
}

}  // namespace

void compare_layouts(int rounds, double seconds) {
  const auto levels = own_levels();
  const auto avx2 = std::find_if(levels.begin(), levels.end(), [](const OwnLevel& level) {
    return std::strcmp(level.kernels->level, "avx2") == 0;
  });
  if (avx2 == levels.end()) {
    throw std::runtime_error("this processor has no AVX2");
  }
  std::printf(
      "| rows x depth x columns | weights from | 6x16, half of a panel of 32 |"
      " 6x16, panels of 16 | 3x32, panels of 32 |\n|---|---|---:|---:|---:|\n");
  for (const auto& [depth, columns] : {std::pair<int64_t, int64_t>{768, 3072}, {3072, 768}}) {
    for (const int64_t rows : {1568, 196, 8, 3, 2, 1}) {
      compare_sizes(*avx2->kernels, {rows, depth, columns}, 1, rounds, seconds);
      if (rows <= 8) {
        compare_sizes(*avx2->kernels, {rows, depth, columns}, 16, rounds, seconds);
      }
    }
  }
}

}  // namespace softmoe::simd

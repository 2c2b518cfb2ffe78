// GFLOP/s on one core of the same kernels written with highway and with our own vectors, and their
// share of what a loop of multiply-adds on registers reaches at that level. Results are compared
// with a scalar reference first.
//
//     simd_comparison [--check | --layout] [--rounds 15] [--seconds 0.05]

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bench/simd/highway_kernels.h"
#include "bench/simd/own_kernels.h"
#include "bench/simd/panel_layout.h"
#include "bench/simd/reference.h"
#include "bench/simd/rounds.h"

namespace softmoe::simd {
namespace {

constexpr ProductSizes kProducts[] = {{196, 384, 1536}, {1568, 768, 3072}, {8, 768, 3072}};
constexpr int64_t kTokens = 197;
constexpr int64_t kHeadDim = 64;

/// One level, written in one way.
struct Contestant {
  std::string level;
  std::string way;
  Kernels kernels;
};

std::string level_of_target(const std::string& target) {
  return target == "AVX3" ? "avx512" : target == "AVX2" ? "avx2" : "portable";
}

std::vector<Contestant> contestants() {
  std::vector<Contestant> all;
  const auto others = highway_kernels();
  for (const auto& own : own_levels()) {
    const std::string level = own.kernels->level;
    for (const auto& other : others) {
      if (level_of_target(other.level) == level) {
        all.push_back({level, std::string("highway ") + other.level, other});
      }
    }
    all.push_back({level, "own", *own.kernels});
  }
  return all;
}

struct ProductData {
  explicit ProductData(const ProductSizes& product)
      : sizes(product),
        a(sizes.rows * sizes.depth),
        matrix(sizes.depth * sizes.columns),
        panels(sizes.depth * sizes.columns),
        out(sizes.rows * sizes.columns) {
    fill(a.data(), sizes.rows * sizes.depth, 1);
    fill(matrix.data(), sizes.depth * sizes.columns, 2);
    pack_panels(matrix.data(), sizes.depth, sizes.columns, kPanelColumns, panels.data());
  }

  void run(Product multiply) {
    multiply(sizes.rows, sizes.depth, sizes.columns, a.data(), sizes.depth,
             packed_factor(panels.data(), sizes.depth), out.data(), sizes.columns);
  }

  void check(Product multiply) {
    run(multiply);
    check_product(sizes, a.data(), matrix.data(), out.data());
  }

  ProductSizes sizes;
  Buffer a;
  Buffer matrix;
  Buffer panels;
  Buffer out;
};

struct HeadData {
  HeadData(int64_t tokens, int64_t head_dim, int64_t stride)
      : qkv(3 * tokens * stride),
        scratch(attention_scratch(tokens, head_dim)),
        out(tokens * stride),
        head{tokens,
             head_dim,
             stride,
             qkv.data(),
             qkv.data() + tokens * stride,
             qkv.data() + 2 * tokens * stride,
             scratch.data(),
             out.data()} {
    fill(qkv.data(), 3 * tokens * stride, 3);
  }

  Buffer qkv;
  Buffer scratch;
  Buffer out;
  Head head;
};

/// Throws std::runtime_error if a kernel's result is wrong.
void check(const std::vector<Contestant>& all) {
  for (int64_t rows = 1; rows < 18; ++rows) {
    ProductData small({rows, 300, 96});
    for (const auto& contestant : all) {
      small.check(contestant.kernels.narrow.multiply);
      small.check(contestant.kernels.wide.multiply);
    }
  }
  for (const auto& [tokens, head_dim] : {std::pair<int64_t, int64_t>{5, 32}, {33, 96}, {224, 64}}) {
    HeadData data(tokens, head_dim, head_dim + 4);
    for (int64_t index = 0; index < tokens * data.head.stride; ++index) {
      data.qkv.data()[index] *= 20;  // spreads the exponents
    }
    for (const auto& contestant : all) {
      contestant.kernels.attention(data.head);
      check_attention(data.head);
    }
  }
}

std::string tile_name(const TiledProduct& product) {
  return std::to_string(product.tile_rows) + "x" + std::to_string(product.tile_columns);
}

void print_table(const std::vector<Work>& works) {
  std::printf("| level | job | way | GFLOP/s | quartiles | share of peak |\n");
  std::printf("|---|---|---|---:|---:|---:|\n");
  double peak = 0;
  for (const auto& work : works) {
    peak = work.way == "peak" ? median(work) : peak;
    std::printf("| %s | %s | %s | %.1f | %.1f-%.1f | %.0f%% |\n", work.level.c_str(),
                work.job.c_str(), work.way.c_str(), median(work), quantile(work, 0.25),
                quantile(work, 0.75), 100 * median(work) / peak);
  }
}

std::string job_name(const ProductSizes& sizes, const TiledProduct& tiled) {
  return std::to_string(sizes.rows) + " x " + std::to_string(sizes.depth) + " x " +
         std::to_string(sizes.columns) + ", tile " + tile_name(tiled);
}

void add_products(const std::vector<Contestant>& all, ProductData& data, std::vector<Work>& works) {
  const auto& sizes = data.sizes;
  const double flops = 2.0 * static_cast<double>(sizes.rows * sizes.depth * sizes.columns);
  for (const auto tile : {&Kernels::narrow, &Kernels::wide}) {
    for (const auto& [level, way, kernels] : all) {
      const Product multiply = (kernels.*tile).multiply;
      if (tile == &Kernels::wide && multiply == kernels.narrow.multiply) {
        continue;
      }
      data.check(multiply);
      works.push_back({level, job_name(sizes, kernels.*tile), way, flops,
                       [&data, multiply] { data.run(multiply); }});
    }
  }
}

void add_attention(const std::vector<Contestant>& all, const Head& head, std::vector<Work>& works) {
  const double flops = 4.0 * static_cast<double>(head.tokens * head.tokens * head.head_dim);
  for (const auto& contestant : all) {
    const auto attention = contestant.kernels.attention;
    attention(head);
    check_attention(head);
    works.push_back({contestant.level, "attention, tile " + tile_name(contestant.kernels.wide),
                     contestant.way, flops, [&head, attention] { attention(head); }});
  }
}

void compare(const std::vector<Contestant>& all, int rounds, double seconds) {
  std::vector<std::unique_ptr<ProductData>> products;
  for (const auto& sizes : kProducts) {
    products.push_back(std::make_unique<ProductData>(sizes));
  }
  const HeadData head(kTokens, kHeadDim, kHeadDim);
  std::vector<Work> works;
  volatile float sink = 0;
  for (const auto& own : own_levels()) {
    constexpr int64_t kSteps = 100000;
    const std::string level = own.kernels->level;
    works.push_back({level, "multiply-adds on registers", "peak",
                     static_cast<double>(kSteps * own.fma_loop->flops_per_step),
                     [loop = own.fma_loop, &sink] { sink = loop->run(kSteps, 0.5F); }});
    std::vector<Contestant> of_level;
    std::copy_if(all.begin(), all.end(), std::back_inserter(of_level),
                 [&](const Contestant& contestant) { return contestant.level == level; });
    for (const auto& product : products) {
      add_products(of_level, *product, works);
    }
    add_attention(of_level, head.head, works);
  }
  measure(works, rounds, seconds);
  print_table(works);
}

int run(int argc, char** argv) {
  bool only_check = false;
  bool layout = false;
  int rounds = 15;
  double seconds = 0.05;
  for (int index = 1; index < argc; ++index) {
    const std::string argument = argv[index];
    if (argument == "--check") {
      only_check = true;
    } else if (argument == "--layout") {
      layout = true;
    } else if (argument == "--rounds" && index + 1 < argc) {
      rounds = std::atoi(argv[++index]);
    } else if (argument == "--seconds" && index + 1 < argc) {
      seconds = std::atof(argv[++index]);
    } else {
      std::fprintf(stderr,
                   "usage: simd_comparison [--check | --layout] [--rounds 15] [--seconds 0.05]\n");
      return 2;
    }
  }
  const auto all = contestants();
  check(all);
  for (const auto& contestant : all) {
    std::fprintf(stderr, "%s, %s: correct\n", contestant.level.c_str(), contestant.way.c_str());
  }
  if (layout) {
    compare_layouts(rounds, seconds);
  } else if (!only_check) {
    compare(all, rounds, seconds);
  }
  return 0;
}

}  // namespace
}  // namespace softmoe::simd

int main(int argc, char** argv) {
  try {
    return softmoe::simd::run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "simd_comparison: %s\n", error.what());
    return 1;
  }
}

#include "vit/position_embedding.h"

#include "io/npz.h"
#include "ops/initialization.h"
#include "support/temporary_folder.h"
#include "support/tensor_matcher.h"

namespace softmoe {
namespace {

using test::all_close;
using test::same_bits;
using test::Tolerance;

constexpr std::array kModes{PositionResize::kBicubicAntialias, PositionResize::kBicubic,
                            PositionResize::kBilinear, PositionResize::kBilinearCorners};

TEST(ResizePositionEmbedding, EqualsTheReferencesZoom) {
  const auto path = test::fixture("vmoe/recipe.npz");
  const auto arrays = read_npz(path);
  struct Case {
    const char* name;
    int64_t prefix;
    int64_t from;
    int64_t to;
    bool drops_prefix;
  };
  for (const auto& zoom :
       {Case{"grid7_to_12", 0, 7, 12, false}, Case{"grid14_to_24", 0, 14, 24, false},
        Case{"tok_grid7_to_12", 1, 7, 12, false}, Case{"grid12_to_7", 0, 12, 7, false},
        Case{"tok_grid7_to_grid12", 1, 7, 12, true}}) {
    const auto key = std::string("vit_zoom/") + zoom.name;
    auto resized = resize_position_embedding(npz_array(arrays, key + "/source", path), zoom.prefix,
                                             {zoom.from, zoom.from}, {zoom.to, zoom.to},
                                             PositionResize::kBilinearCorners);
    if (zoom.drops_prefix) {
      resized = resized.slice(1, zoom.prefix);
    }
    EXPECT_TRUE(all_close(resized, npz_array(arrays, key + "/resized", path))) << zoom.name;
  }
}

TEST(ResizePositionEmbedding, KeepsATableOfTheSameGrid) {
  const auto table = torch::randn({1, 2 + 3 * 5, 4});
  for (const auto mode : kModes) {
    EXPECT_TRUE(same_bits(resize_position_embedding(table, 2, {3, 5}, {3, 5}, mode), table));
  }
}

TEST(ResizePositionEmbedding, KeepsThePrefixAndTheDtype) {
  for (const auto dtype : {torch::kBFloat16, torch::kFloat32, torch::kFloat64}) {
    const auto table = torch::randn({1, 2 + 3 * 5, 4}).to(dtype);
    for (const auto mode : kModes) {
      const auto resized = resize_position_embedding(table, 2, {3, 5}, {7, 4}, mode);
      ASSERT_EQ(resized.sizes(), (std::vector<int64_t>{1, 2 + 7 * 4, 4}));
      EXPECT_TRUE(same_bits(resized.narrow(1, 0, 2), table.narrow(1, 0, 2)));
    }
  }
}

TEST(ResizePositionEmbedding, InterpolatesRowsAsRowsAndColumnsAsColumns) {
  // Channel 0 is the row, channel 1 the column, channel 2 a constant.
  const auto rows = torch::arange(3.0).repeat_interleave(5);
  const auto columns = torch::arange(5.0).repeat({3});
  const auto table = torch::stack({rows, columns, torch::full({15}, 7.0)}, 1).unsqueeze(0);
  for (const auto mode : kModes) {
    const auto grid = resize_position_embedding(table, 0, {3, 5}, {6, 4}, mode).view({6, 4, 3});
    EXPECT_TRUE(all_close(grid.select(2, 0), grid.select(2, 0).narrow(1, 0, 1).expand({6, 4}),
                          Tolerance{.absolute = 1e-5}));
    EXPECT_TRUE(all_close(grid.select(2, 1), grid.select(2, 1).narrow(0, 0, 1).expand({6, 4}),
                          Tolerance{.absolute = 1e-5}));
    EXPECT_TRUE(all_close(grid.select(2, 2), torch::full({6, 4}, 7.0)));
    EXPECT_LT(grid[0][0][0].item<double>(), grid[5][0][0].item<double>());
  }
  const auto corners =
      resize_position_embedding(table, 0, {3, 5}, {6, 4}, PositionResize::kBilinearCorners)
          .view({6, 4, 3});
  EXPECT_TRUE(all_close(corners.select(2, 0).select(1, 0), torch::linspace(0, 2, 6)));
  EXPECT_TRUE(all_close(corners.select(2, 1).select(0, 0), torch::linspace(0, 4, 4)));
}

/// One row of values through a 1 x 4 grid, doubled, against weights worked out by hand.
TEST(ResizePositionEmbedding, ModesHaveTheirOwnWeights) {
  const auto table = torch::tensor({0.0F, 0.0F, 1.0F, 0.0F}).view({1, 4, 1});
  const auto doubled = [&](PositionResize mode) {
    return resize_position_embedding(table, 0, {1, 4}, {1, 8}, mode).flatten();
  };
  EXPECT_TRUE(all_close(doubled(PositionResize::kBilinear),
                        torch::tensor({0.0, 0.0, 0.0, 0.25, 0.75, 0.75, 0.25, 0.0})));
  const auto sevenths = torch::tensor({0.0, 0.0, 0.0, 2.0, 5.0, 6.0, 3.0, 0.0}) / 7;
  EXPECT_TRUE(all_close(doubled(PositionResize::kBilinearCorners), sevenths));
  // Keys' kernel at distances 1.25, 0.75, 0.25, 0.25, for a = -3/4 (plain) and -1/2 (antialias).
  const auto kernel = [](double a, double x) {
    return x <= 1 ? (a + 2) * x * x * x - (a + 3) * x * x + 1
                  : a * (x * x * x - 5 * x * x + 8 * x - 4);
  };
  // Far from the edges, of which each mode has a way of its own.
  const auto impulse = torch::zeros({1, 8, 1});
  impulse[0][4] = 1.0;
  const auto interior = [&](PositionResize mode) {
    return resize_position_embedding(impulse, 0, {1, 8}, {1, 16}, mode).flatten().narrow(0, 6, 4);
  };
  const auto expected = [&](double a) {
    return torch::tensor({kernel(a, 1.25), kernel(a, 0.75), kernel(a, 0.25), kernel(a, 0.25)});
  };
  EXPECT_TRUE(all_close(interior(PositionResize::kBicubic), expected(-0.75)));
  EXPECT_TRUE(all_close(interior(PositionResize::kBicubicAntialias), expected(-0.5)));
}

TEST(ResizePositionEmbedding, AntialiasAveragesWhatItShrinks) {
  // A checkerboard, shrunk to a third: plain interpolation takes single values, antialias means.
  const auto board = (torch::arange(12).unsqueeze(1) + torch::arange(12)).remainder(2);
  const auto table = board.to(torch::kFloat32).view({1, 144, 1});
  const auto spread = [&](PositionResize mode) {
    return (resize_position_embedding(table, 0, {12, 12}, {4, 4}, mode) - 0.5)
        .abs()
        .max()
        .item<double>();
  };
  EXPECT_LT(spread(PositionResize::kBicubicAntialias), 0.1);
  EXPECT_GT(spread(PositionResize::kBicubic), 0.4);
}

TEST(ResizePositionEmbedding, RefusesATableThatIsNotOfTheGrid) {
  const auto resize = [](const torch::Tensor& table) {
    return resize_position_embedding(table, 1, {3, 5}, {6, 6}, PositionResize::kBilinear);
  };
  EXPECT_NO_THROW(resize(torch::zeros({1, 16, 4})));
  EXPECT_THROW(resize(torch::zeros({1, 15, 4})), c10::ValueError);
  EXPECT_THROW(resize(torch::zeros({2, 16, 4})), c10::ValueError);
  EXPECT_THROW(resize(torch::zeros({16, 4})), c10::ValueError);
}

TEST(SinCos2dPositionEmbedding, HoldsSinesAndCosinesOfColumnsThenRows) {
  const DefaultDtypeGuard fp64(torch::kFloat64);
  const auto table = sincos2d_position_embedding({3, 5}, 12);  // frequencies 1, 1/100, 1/10000
  ASSERT_EQ(table.sizes(), (std::vector<int64_t>{15, 12}));
  for (int64_t row = 0; row < 3; ++row) {
    for (int64_t column = 0; column < 5; ++column) {
      for (int64_t octave = 0; octave < 3; ++octave) {
        const double frequency = std::pow(100.0, -static_cast<double>(octave));
        const auto position = table[row * 5 + column];
        const double x = static_cast<double>(column) * frequency;
        const double y = static_cast<double>(row) * frequency;
        EXPECT_NEAR(position[octave].item<double>(), std::sin(x), 1e-12);
        EXPECT_NEAR(position[3 + octave].item<double>(), std::cos(x), 1e-12);
        EXPECT_NEAR(position[6 + octave].item<double>(), std::sin(y), 1e-12);
        EXPECT_NEAR(position[9 + octave].item<double>(), std::cos(y), 1e-12);
      }
    }
  }
}

TEST(SinCos2dPositionEmbedding, HasTheDefaultDtype) {
  EXPECT_EQ(sincos2d_position_embedding({2, 3}, 8).scalar_type(), torch::kFloat32);
  const DefaultDtypeGuard reduced(torch::kBFloat16);
  EXPECT_EQ(sincos2d_position_embedding({2, 3}, 8).scalar_type(), torch::kBFloat16);
}

TEST(SinCos2dPositionEmbedding, NeedsAMultipleOfFour) {
  EXPECT_NO_THROW(sincos2d_position_embedding({2, 3}, 4));
  EXPECT_THROW(sincos2d_position_embedding({2, 3}, 6), c10::ValueError);
}

TEST(FixedPositions, AreZeroForPrefixTokens) {
  VitOptions options;
  options.img_size = {8, 12};
  options.patch_size = 4;
  options.dim = 12;
  options.class_token = true;
  options.reg_tokens = 2;
  options.pos_embed = PositionEmbedding::kSinCos2d;
  const auto table = fixed_positions(options);
  ASSERT_EQ(table.sizes(), (std::vector<int64_t>{1, 9, 12}));
  EXPECT_EQ(table.narrow(1, 0, 3).abs().max().item<float>(), 0.0F);
  const auto patches = sincos2d_position_embedding({2, 3}, 12);
  EXPECT_TRUE(same_bits(table[0].slice(0, 3).contiguous(), patches));
  options.pos_embed_prefix = false;
  EXPECT_TRUE(same_bits(fixed_positions(options)[0].contiguous(), patches));
}

TEST(TokenOffsets, ArePrefixTokensAndPositions) {
  VitOptions options;
  options.img_size = {8, 12};
  options.patch_size = 4;
  options.dim = 12;
  EXPECT_TRUE(
      same_bits(token_offsets(options, torch::ones({1, 6, 12}), {}), torch::ones({1, 6, 12})));
  options.class_token = true;
  options.reg_tokens = 2;
  const std::vector<torch::Tensor> prefix{torch::full({1, 1, 12}, 2.0),
                                          torch::full({1, 2, 12}, 4.0)};
  const auto values = [&](int64_t positions) {
    return token_offsets(options, torch::ones({1, positions, 12}), prefix).select(2, 0).flatten();
  };
  EXPECT_TRUE(same_bits(values(9), torch::tensor({3.F, 5.F, 5.F, 1.F, 1.F, 1.F, 1.F, 1.F, 1.F})));
  options.pos_embed_prefix = false;
  EXPECT_TRUE(same_bits(values(6), torch::tensor({2.F, 4.F, 4.F, 1.F, 1.F, 1.F, 1.F, 1.F, 1.F})));
}

}  // namespace
}  // namespace softmoe

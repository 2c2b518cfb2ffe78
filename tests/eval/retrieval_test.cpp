#include "eval/retrieval.h"

#include <ATen/Functions.h>
#include <gtest/gtest.h>

namespace softmoe {
namespace {

TEST(Retrieval, CountsMatchesAmongTheFirstResults) {
  // Image 0 is nearest to its own text, image 1 to another, image 2 shares the text of image 0.
  const auto images = torch::tensor({{1.0F, 0.0F}, {0.9F, 0.1F}, {0.8F, 0.2F}});
  const auto texts = torch::tensor({{1.0F, 0.0F}, {0.0F, 1.0F}});
  const auto result = retrieval(images, texts, {0, 1, 0});
  EXPECT_EQ(result.images, 3);
  EXPECT_EQ(result.texts, 2);
  EXPECT_DOUBLE_EQ(result.text_of_image.at(1), 2.0 / 3);
  EXPECT_DOUBLE_EQ(result.text_of_image.at(5), 1.0);
  EXPECT_DOUBLE_EQ(result.image_of_text.at(1), 0.5);  // of text 1 image 2 is nearer than its own
  EXPECT_DOUBLE_EQ(result.mean(1), (2.0 / 3 + 0.5) / 2);
}

TEST(Retrieval, ConstantEmbeddingsFindNothing) {
  const auto same = torch::ones({20, 3});
  std::vector<int64_t> text_of(20);
  for (size_t image = 0; image < 20; ++image) {
    text_of[image] = static_cast<int64_t>(image);
  }
  const auto result = retrieval(same, same, text_of);
  EXPECT_EQ(result.text_of_image.at(10), 0.0);
  EXPECT_EQ(result.image_of_text.at(10), 0.0);
}

TEST(Retrieval, OfManyImagesIsThatOfAllSimilarities) {
  torch::manual_seed(1);
  const int64_t count = 5000;  // more similarities than are held at once
  const auto images = torch::randn({count, 4});
  const auto texts = images + 0.3 * torch::randn({count, 4});
  std::vector<int64_t> text_of(count);
  for (int64_t image = 0; image < count; ++image) {
    text_of[static_cast<size_t>(image)] = image;
  }
  const auto result = retrieval(images, texts, text_of);
  const auto similarities = images.matmul(texts.t());
  const auto own = similarities.diagonal();
  const auto ranks = similarities.ge(own.unsqueeze(1)).sum(1) - 1;
  for (const int64_t k : {1, 5, 10}) {
    EXPECT_DOUBLE_EQ(result.text_of_image.at(k),
                     ranks.lt(k).to(torch::kFloat64).mean().item<double>());
  }
}

TEST(CaptionIndex, KeepsEachTextOnce) {
  const std::vector<std::string> captions{"b", "a", "b"};
  const auto index =
      CaptionIndex::of(3, [&](int64_t image) { return captions[static_cast<size_t>(image)]; });
  EXPECT_EQ(index.texts, (std::vector<std::string>{"b", "a"}));
  EXPECT_EQ(index.text_of, (std::vector<int64_t>{0, 1, 0}));
}

}  // namespace
}  // namespace softmoe

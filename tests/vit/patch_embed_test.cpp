#include "vit/patch_embed.h"

#include "support/tensor_matcher.h"
#include "vit/small_models.h"

namespace softmoe {
namespace {

using test::all_close;
using test::random_images;
using test::small_options;

TEST(PatchEmbed, IsAStridedConvolution) {
  auto options = small_options();
  PatchEmbed module(options);
  const torch::NoGradGuard no_grad;
  module->proj->bias.normal_();
  const auto images = random_images(options);
  const auto expected = torch::conv2d(images, module->proj->weight, module->proj->bias,
                                      /*stride=*/4)
                            .flatten(2)
                            .transpose(1, 2);  // [batch, patches, dim]
  const auto embedded = [&](const torch::Tensor& pixels) {
    return module->forward(image_patches(pixels, options));
  };
  EXPECT_TRUE(all_close(embedded(images), expected));
  EXPECT_TRUE(all_close(embedded(images.contiguous(at::MemoryFormat::ChannelsLast)), expected));
}

}  // namespace
}  // namespace softmoe

#include "datasets/bad_images.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace softmoe {
namespace {

constexpr size_t kMaxListed = 20;

}  // namespace

int64_t allowed_bad_images(double max_share, int64_t images) {
  const auto share = static_cast<int64_t>(std::floor(max_share * static_cast<double>(images)));
  return max_share > 0.0 ? std::max<int64_t>(1, share) : 0;
}

void check_bad_images(const std::vector<BadImage>& bad, double max_share, int64_t images) {
  if (std::ssize(bad) <= allowed_bad_images(max_share, images)) {
    return;
  }
  std::string list;
  for (size_t i = 0; i < std::min(bad.size(), kMaxListed); ++i) {
    list += (i == 0 ? " " : "; ") + bad[i].reason;
  }
  if (bad.size() > kMaxListed) {
    list += fmt::format("; and {} more", bad.size() - kMaxListed);
  }
  throw InputError(fmt::format("more than --max-bad-images {:g} of {} images cannot be read:{}",
                               max_share, images, list));
}

}  // namespace softmoe

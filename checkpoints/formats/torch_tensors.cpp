#include "checkpoints/formats/torch_tensors.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <unordered_set>
#include <utility>

#include "core/error.h"
#include "core/json_text.h"
#include "io/shape_bytes.h"

namespace softmoe {
namespace {

constexpr size_t kMaxDepth = 32;
/// Limit of steps and characters of names per file: the names of dicts that hold each other twice
/// double with every level.
constexpr size_t kNameBudget = 10'000'000;
/// Limit of the objects and items per file that are looked at for tensors in opaque objects.
constexpr size_t kStepBudget = 10'000'000;

/// Sizes or strides: a tuple of whole numbers from 0 on.
std::vector<int64_t> whole_numbers(const Pickle& pickle, uint32_t tuple, const std::string& where) {
  const auto& items = pickle.at(tuple).items;
  if (items.size() > kMaxAxes) {
    throw InputError(where, fmt::format("at most {} axes", kMaxAxes), std::to_string(items.size()));
  }
  std::vector<int64_t> numbers;
  for (const uint32_t item : items) {
    const PickleObject& number = pickle.at(item);
    if (number.kind != PickleKind::kInteger || number.integer < 0) {
      throw InputError(
          where, "sizes and strides from 0 on",
          number.kind == PickleKind::kInteger ? std::to_string(number.integer) : "something else");
    }
    numbers.push_back(number.integer);
  }
  return numbers;
}

/// One past the last element that a view touches; nullopt if that overflows.
std::optional<int64_t> view_end(int64_t offset, const std::vector<int64_t>& sizes,
                                const std::vector<int64_t>& strides) {
  int64_t last = offset;
  for (size_t axis = 0; axis < sizes.size(); ++axis) {
    int64_t reach = 0;
    if (__builtin_mul_overflow(sizes[axis] - 1, strides[axis], &reach) ||
        __builtin_add_overflow(last, reach, &last)) {
      return std::nullopt;
    }
  }
  return last < std::numeric_limits<int64_t>::max() ? std::optional(last + 1) : std::nullopt;
}

/// Finds out which objects hold tensors.
class TensorSearch {
 public:
  explicit TensorSearch(const Pickle& pickle) : pickle_(pickle), barren_(pickle.objects.size()) {}

  /// Returns true if object `number`, or one in it, is a tensor or has a storage.
  bool holds_tensors(uint32_t number) {
    std::unordered_set<uint32_t> seen;
    std::vector<uint32_t> waiting{number};
    while (!waiting.empty() && steps_ < kStepBudget) {
      const uint32_t next = waiting.back();
      waiting.pop_back();
      if (barren_[next] || !seen.insert(next).second) {
        continue;
      }
      const PickleObject& object = pickle_.at(next);
      if (object.kind == PickleKind::kTensor || object.kind == PickleKind::kStorage) {
        return true;
      }
      steps_ += 1 + object.items.size();
      waiting.insert(waiting.end(), object.items.begin(), object.items.end());
    }
    for (const uint32_t object : seen) {
      barren_[object] = true;
    }
    return false;
  }

 private:
  const Pickle& pickle_;
  std::vector<bool> barren_;  ///< objects that are known to hold none
  size_t steps_ = 0;
};

/// Walks dicts and lists from the root of a pickle.
class TensorCollector {
 public:
  TensorCollector(const Pickle& pickle, const StorageOfKey& storage_of_key,
                  const std::string& where)
      : pickle_(pickle), storage_of_key_(storage_of_key), where_(where), search_(pickle) {}

  TorchFile collect() {
    visit(pickle_.root, "", 0);
    return std::move(file_);
  }

 private:
  /// Returns true if an object may be or hold a tensor.
  bool is_of_interest(uint32_t number) const {
    switch (pickle_.at(number).kind) {
      case PickleKind::kTuple:
      case PickleKind::kList:
      case PickleKind::kDict:
      case PickleKind::kTensor:
      case PickleKind::kOpaque:
        return true;
      default:
        return false;
    }
  }

  void visit(uint32_t number, const std::string& name, size_t depth) {
    const PickleObject& object = pickle_.at(number);
    spent_ += name.size() + 1;
    if (depth > kMaxDepth || spent_ > kNameBudget) {
      throw InputError(where_, "a state dict",
                       depth > kMaxDepth ? fmt::format("more than {} levels of it", kMaxDepth)
                                         : "dicts that hold each other over and over");
    }
    if (object.kind == PickleKind::kTensor) {
      add(object, name);
    } else if (object.kind == PickleKind::kOpaque) {
      add_opaque(number, name);
    } else if (object.kind == PickleKind::kDict) {
      for (size_t i = 0; i < object.items.size(); i += 2) {
        const auto key = key_text(object.items[i]);
        if (key && is_of_interest(object.items[i + 1])) {
          visit(object.items[i + 1], joined(name, *key), depth + 1);
        }
      }
    } else if (object.kind == PickleKind::kList || object.kind == PickleKind::kTuple) {
      for (size_t i = 0; i < object.items.size(); ++i) {
        if (is_of_interest(object.items[i])) {
          visit(object.items[i], joined(name, std::to_string(i)), depth + 1);
        }
      }
    }
  }

  void add_opaque(uint32_t number, const std::string& name) {
    // Files that hold very many of them name the first.
    constexpr size_t kMaxObjects = 1000;
    if (file_.opaque.size() < kMaxObjects) {
      file_.opaque.push_back(
          {name, pickle_.maker(pickle_.at(number)), search_.holds_tensors(number)});
    }
  }

  static std::string joined(const std::string& name, const std::string& key) {
    return name.empty() ? key : name + "." + key;
  }

  std::optional<std::string> key_text(uint32_t number) const {
    const PickleObject& key = pickle_.at(number);
    if (key.kind == PickleKind::kInteger) {
      return std::to_string(key.integer);
    }
    return key.kind == PickleKind::kText ? std::optional<std::string>(key.text) : std::nullopt;
  }

  void add(const PickleObject& object, const std::string& name) {
    const std::string where = fmt::format("{}: tensor '{}'", where_, printable_text(name));
    if (name.empty()) {
      throw InputError(where_, "a state dict", "one tensor without a name");
    }
    if (valid_utf8(name) != name) {
      throw InputError(where, "a name in UTF-8", "other bytes");
    }
    if (!file_.tensors.emplace(name, view(object, where)).second) {
      throw InputError(where, "one tensor of a name", "two");
    }
  }

  torch::Tensor view(const PickleObject& object, const std::string& where) const {
    const auto sizes = whole_numbers(pickle_, object.items[1], where);
    const auto strides = whole_numbers(pickle_, object.items[2], where);
    const auto storage =
        storage_of_key_(std::string(pickle_.at(object.items[0]).text));  // [elements]
    const auto count = shape_bytes(sizes, /*item_bytes=*/1);             // elements
    if (sizes.size() != strides.size() || !count) {
      throw InputError(
          where, "a shape that fits in memory, with a stride for each axis",
          fmt::format("[{}], strides [{}]", fmt::join(sizes, ", "), fmt::join(strides, ", ")));
    }
    if (*count == 0) {
      return torch::empty(sizes, storage.options());
    }
    const auto end = view_end(object.integer, sizes, strides);
    if (object.integer < 0 || !end || *end > storage.numel() || *count > storage.numel()) {
      throw InputError(where, fmt::format("a view of its storage of {} elements", storage.numel()),
                       fmt::format("[{}], strides [{}], from {}", fmt::join(sizes, ", "),
                                   fmt::join(strides, ", "), object.integer));
    }
    return storage.as_strided(sizes, strides, object.integer);
  }

  const Pickle& pickle_;
  const StorageOfKey& storage_of_key_;
  const std::string& where_;
  TensorSearch search_;
  TorchFile file_;
  size_t spent_ = 0;
};

}  // namespace

std::map<std::string, StorageClaim> storage_claims(const Pickle& pickle, int64_t byte_limit,
                                                   const std::string& where) {
  std::map<std::string, StorageClaim> claims;
  int64_t left = byte_limit;
  for (const auto& object : pickle.objects) {
    if (object.kind != PickleKind::kStorage) {
      continue;
    }
    const StorageClaim claim{.dtype = object.dtype, .elements = object.integer};
    const auto [known, is_new] = claims.emplace(object.text, claim);
    const auto fail = [&](const std::string& expected, const std::string& found) {
      throw InputError(fmt::format("{}: storage '{}'", where, printable_text(object.text)),
                       expected, found);
    };
    if (!is_new) {
      if (known->second != claim) {
        fail("one dtype and length of it", "two");
      }
      continue;
    }
    if (claim.elements < 0 || claim.elements > left / claim.item_bytes()) {
      fail(fmt::format("at most the {} bytes that are left for it", left),
           fmt::format("{} elements of {}", claim.elements, c10::toString(claim.dtype)));
    }
    left -= claim.elements * claim.item_bytes();
  }
  return claims;
}

TorchFile torch_tensors(const Pickle& pickle, const StorageOfKey& storage_of_key,
                        const std::string& where) {
  auto file = TensorCollector(pickle, storage_of_key, where).collect();
  if (!file.tensors.empty()) {
    return file;
  }
  if (const auto* const object = likely_model(file.opaque)) {
    throw InputError(where,
                     "a state dict with tensors, as torch.save(model.state_dict(), FILE) writes it",
                     described(*object));
  }
  throw InputError(where, "a state dict with tensors", "none");
}

}  // namespace softmoe

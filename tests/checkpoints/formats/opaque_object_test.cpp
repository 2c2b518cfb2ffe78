/// Objects of other classes in files of torch.save: nothing of them is run.

#include "checkpoints/formats/opaque_object.h"

#include <gmock/gmock.h>

#include "checkpoints/formats/pickle_bytes.h"
#include "checkpoints/formats/torch_file.h"
#include "io/atomic_file.h"
#include "support/error_text.h"
#include "support/temporary_folder.h"
#include "support/tensor_matcher.h"

namespace softmoe {
namespace {

using test::input_error;
using test::same_bits;
using namespace test::pickles;  // NOLINT: instructions of pickles

/// What a file holds beside the tensor 'w' if `object` stands at 'x'.
std::vector<OpaqueObject> beside_tensor(const std::string& object) {
  const test::TemporaryFolder folder;
  write_text_file(folder / "a", zip_file("}" + text("w") + tensor(numbers({6}), numbers({1})) +
                                         "s" + text("x") + object + "s"));
  auto file = read_torch_file(folder / "a");
  EXPECT_TRUE(same_bits(file.tensors.at("w"), torch::zeros({6})));
  return file.opaque;
}

/// One object and the name under which it is noted; none: it is noted under no name.
struct BesideTensor {
  const char* name;
  std::string object;
  std::string maker;
};

void PrintTo(const BesideTensor& object, std::ostream* out) { *out << object.name; }

class OpaqueObjectOfPython : public testing::TestWithParam<BesideTensor> {};

TEST_P(OpaqueObjectOfPython, IsNotReadAndTensorsAre) {
  const auto opaque = beside_tensor(GetParam().object);
  if (GetParam().maker.empty()) {
    EXPECT_THAT(opaque, testing::IsEmpty());
    return;
  }
  ASSERT_EQ(opaque.size(), 1U);
  EXPECT_EQ(opaque[0].name, "x");
  EXPECT_EQ(opaque[0].maker, GetParam().maker);
  EXPECT_FALSE(opaque[0].holds_tensors);
}

constexpr const char* kReduce = "R";
constexpr const char* kNewObject = "\x81";
constexpr const char* kNewObjectWithNames = "\x92";
constexpr const char* kBuild = "b";

INSTANTIATE_TEST_SUITE_P(
    All, OpaqueObjectOfPython,
    testing::Values(
        BesideTensor{"HistoryBuffer",
                     global("mmengine.logging.history_buffer", "HistoryBuffer") + ")" + kNewObject +
                         dict("_max_length", integer(7)) + kBuild,
                     "mmengine.logging.history_buffer.HistoryBuffer"},
        BesideTensor{"Namespace", global("argparse", "Namespace") + ")" + kReduce + "}" + kBuild,
                     "argparse.Namespace"},
        BesideTensor{"Scalar",
                     global("numpy._core.multiarray", "scalar") + global("numpy", "dtype") +
                         text("f8") + "\x89\x88\x87R" + text("abc") + "\x86R",
                     "numpy._core.multiarray.scalar"},
        BesideTensor{"Array",
                     global("numpy.core.multiarray", "_reconstruct") + global("numpy", "ndarray") +
                         integer(0) + "\x85" + "C\x01" + "b" + "\x87R" + "(K\x01t" + kBuild,
                     "numpy.ndarray"},
        BesideTensor{"Date", global("datetime", "datetime") + text("abc") + "\x85R",
                     "datetime.datetime"},
        BesideTensor{"Enum", text("my.module") + text("Color") + "\x93K\x01\x85R",
                     "my.module.Color"},
        BesideTensor{"Partial",
                     global("functools", "partial") + global("my", "function") + "\x85R(" +
                         global("my", "function") + ")}Nt" + kBuild,
                     "functools.partial"},
        BesideTensor{"NamedArguments",
                     global("my", "Data") + ")" + dict("a", integer(1)) + kNewObjectWithNames,
                     "my.Data"},
        BesideTensor{"Reconstructor",
                     global("copyreg", "_reconstructor") + global("my", "Old") +
                         global("builtins", "object") + "N\x87R" + "}" + kBuild,
                     "my.Old"},
        BesideTensor{"PersistentObject", text("somewhere") + "Q", "a program other than PyTorch"},
        BesideTensor{
            "ClassOfLegacyFiles",
            tuple({text("module"), global("my", "Net"), text("a.py"), text("class")}) + "Q", ""},
        BesideTensor{"ListSubclass",
                     global("my", "Numbers") + ")" + kNewObject + "(K\x01K\x02" + "e", ""},
        BesideTensor{"Set", "\x8f(K\x01K\x02\x90", ""},
        BesideTensor{"FrozenSet", "(K\x01K\x02\x91", ""},
        BesideTensor{"Remembered", global("my", "Thing") + ")" + kNewObject + "q\x05" + "0h\x05",
                     "my.Thing"},
        BesideTensor{"QuantizedTensor",
                     global("torch._utils", "_rebuild_qtensor") + "(" + integer(6) + "tR",
                     "torch._utils._rebuild_qtensor"}),
    [](const auto& object) { return object.param.name; });

TEST(OpaqueObjects, ReadsDictsOfOtherClasses) {
  const test::TemporaryFolder folder;
  const auto value = tensor(numbers({6}), numbers({1}));
  const std::string filled = "(" + text("w") + value + "u";
  for (const auto& [name, object] :
       {std::pair{"new", global("my", "State") + ")\x81" + filled + dict("a", "N") + "b"},
        {"reduced", global("my", "State") + ")R" + filled},
        {"reconstructed", global("copyreg", "_reconstructor") + global("my", "State") +
                              global("builtins", "dict") + dict("w", value) + "\x87R}b"}}) {
    write_text_file(folder / name, zip_file(object));
    const auto file = read_torch_file(folder / name);
    EXPECT_TRUE(same_bits(file.tensors.at("w"), torch::zeros({6}))) << name;
    EXPECT_THAT(file.opaque, testing::IsEmpty()) << name;
  }
}

TEST(OpaqueObjects, ReadsTensorsWithAttributes) {
  const test::TemporaryFolder folder;
  const auto typed = [](const std::string& module, const std::string& name) {
    const auto arguments = tuple({storage(6), integer(0), numbers({6}), numbers({1}), "\x89", "}"});
    return global("torch._tensor", "_rebuild_from_type_v2") +
           tuple({global("torch._utils", "_rebuild_tensor_v2"), global(module, name), arguments,
                  "}"}) +
           "R";
  };
  write_text_file(folder / "a", zip_file(dict("w", typed("torch", "Tensor"))));
  EXPECT_TRUE(same_bits(read_torch_file(folder / "a").tensors.at("w"), torch::zeros({6})));
  EXPECT_THAT(beside_tensor(typed("my", "Packed")),
              testing::ElementsAre(testing::Field(&OpaqueObject::maker, "my.Packed")));
}

TEST(OpaqueObjects, NamesTheObjectThatHoldsTheTensors) {
  const test::TemporaryFolder folder;
  const auto model = global("my.models", "Vit") + ")\x81" +
                     dict("_parameters", dict("w", tensor(numbers({6}), numbers({1})))) + "b";
  const auto settings = global("my", "Settings") + ")\x81";
  write_text_file(folder / "a",
                  zip_file("}" + text("args") + settings + "s" + text("model") + model + "s"));
  EXPECT_EQ(input_error([&] { read_torch_file(folder / "a"); }),
            (folder / "a").string() + kNoStateDict + "my.models.Vit at 'model'");
}

TEST(OpaqueObjects, ReadsNoStorageThatOnlyOtherObjectsHave) {
  const test::TemporaryFolder folder;
  const std::string elsewhere = tuple({text("storage"), global("torch", "FloatStorage"), text("7"),
                                       text("cpu"), integer(2)}) +
                                "Q";
  const auto average = global("my", "Average") + ")\x81" +
                       dict("shadow", tensor(numbers({2}), numbers({1}), 0, elsewhere)) + "b";
  write_text_file(folder / "a", zip_file("}" + text("w") + tensor(numbers({6}), numbers({1})) +
                                         "s" + text("ema") + average + "s"));
  const auto file = read_torch_file(folder / "a");
  EXPECT_EQ(file.tensors.size(), 1U);
  ASSERT_EQ(file.opaque.size(), 1U);
  EXPECT_TRUE(file.opaque[0].holds_tensors);
}

TEST(OpaqueObjects, StandInLegacyFilesToo) {
  const test::TemporaryFolder folder;
  const auto settings = global("argparse", "Namespace") + ")R}b";
  write_text_file(folder / "a",
                  legacy_file("}" + text("w") + tensor(numbers({6}), numbers({1})) + "s" +
                                  text("args") + settings + "s",
                              storage_keys() + test::little_endian(6, 8) + six_floats()));
  const auto file = read_torch_file(folder / "a");
  EXPECT_TRUE(same_bits(file.tensors.at("w"), torch::zeros({6})));
  EXPECT_EQ(file.opaque.at(0).maker, "argparse.Namespace");
}

TEST(OpaqueObjects, ReadsComplexNumbers) {
  const test::TemporaryFolder folder;
  const auto value = tensor(numbers({3}), numbers({1}), 0, storage(3, "ComplexFloatStorage"));
  write_text_file(folder / "a", zip_file(dict("w", value)));
  EXPECT_EQ(read_torch_file(folder / "a").tensors.at("w").scalar_type(), torch::kComplexFloat);
}

TEST(OpaqueObjects, TakesLongListsOfNumbersBesideTensors) {
  std::string items;
  for (int i = 0; i < 1'000'000; ++i) {
    items += "K\x01";
  }
  EXPECT_THAT(beside_tensor("](" + items + "e"), testing::IsEmpty());
}

}  // namespace
}  // namespace softmoe

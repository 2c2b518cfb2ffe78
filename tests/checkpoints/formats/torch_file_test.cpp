#include "checkpoints/formats/torch_file.h"

#include <gmock/gmock.h>

#include <array>

#include "checkpoints/formats/every_dtype.h"
#include "checkpoints/formats/pickle_bytes.h"
#include "io/atomic_file.h"
#include "support/error_text.h"
#include "support/temporary_folder.h"
#include "support/tensor_matcher.h"
#include "support/zip_bytes.h"

namespace softmoe {
namespace {

using test::input_error;
using test::little_endian;
using test::same_bits;
using testing::HasSubstr;
using namespace test::pickles;  // NOLINT: instructions of pickles

// --- What Python writes ---

class TorchFileOfPython : public testing::TestWithParam<std::string> {};

TEST_P(TorchFileOfPython, HoldsEveryDtypeBitExactly) {
  const auto expected = test::every_dtype();
  const auto read = read_torch_file(test::fixture(GetParam())).tensors;
  ASSERT_EQ(read.size(), expected.size());
  for (const auto& [name, value] : expected) {
    EXPECT_TRUE(test::same_tensor_memory(read.at(name), value)) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(All, TorchFileOfPython,
                         testing::Values("formats/every_dtype.pt",
                                         "formats/every_dtype_legacy.pth"),
                         [](const auto& file) { return file.index == 0 ? "Zip" : "Legacy"; });

class TrainingCheckpointOfPython : public testing::TestWithParam<std::string> {};

TEST_P(TrainingCheckpointOfPython, GivesItsTensorsFlat) {
  const auto read = read_torch_file(test::fixture(GetParam())).tensors;
  NamedTensors expected{
      {"model.patch_embed.proj.weight", torch::arange(24, torch::kFloat32).view({2, 3, 2, 2})},
      {"model.blocks.0.norm1.weight", torch::full({5}, 0.5F)},
      {"model.head.weight", torch::arange(8, torch::kFloat32).view({4, 2}).t()},
      {"model.slice", torch::arange(3, 7, torch::kFloat32)},
      {"model.slice.again", torch::arange(5, 9, torch::kFloat32)},
      {"model_ema.head.bias", torch::tensor({1.0F, 2.0F, 3.0F})},
      {"optimizer.state.0.step", torch::tensor(7.0F)},
      {"optimizer.state.0.exp_avg", torch::zeros({5})},
      {"layers.0", torch::tensor({1, 2})},
      {"layers.1", torch::tensor({3})},
  };
  ASSERT_EQ(read.size(), expected.size());
  for (const auto& [name, value] : expected) {
    EXPECT_TRUE(same_bits(read.at(name), value)) << name;
  }
  EXPECT_EQ(read.at("model.head.weight").strides(), (torch::IntArrayRef{1, 2}));
  EXPECT_EQ(read.at("model.slice").storage().data(), read.at("model.slice.again").storage().data());
}

std::string training_file_name(const testing::TestParamInfo<std::string>& file) {
  constexpr std::array kNames = {"Zip", "Legacy", "Protocol4"};
  return kNames.at(file.index);
}

INSTANTIATE_TEST_SUITE_P(All, TrainingCheckpointOfPython,
                         testing::Values("formats/training.pt", "formats/training_legacy.pth",
                                         "formats/training_protocol4.pt"),
                         training_file_name);

TEST(TorchFile, RefusesWhatIsNoStateDict) {
  const auto module = test::fixture("formats/whole_module.pt");
  EXPECT_EQ(input_error([&] { read_torch_file(module); }),
            module.string() + kNoStateDict + "torch.nn.modules.linear.Linear");
  const auto script = test::fixture("formats/torchscript.pt");
  EXPECT_EQ(input_error([&] { read_torch_file(script); }),
            script.string() + ": expected a state dict, found a TorchScript archive");
  const auto arrays = test::fixture("formats/every_dtype.npz");
  EXPECT_EQ(input_error([&] { read_torch_file(arrays); }),
            arrays.string() + ": expected a file of torch.save, found another zip archive");
}

TEST(TorchFile, ReadsWhatPython2Wrote) {
  const test::TemporaryFolder folder;
  const std::string pairs =
      "](" + text("w") + tensor(numbers({2, 3}), numbers({3, 1})) + "\x86" + "e";
  write_text_file(folder / "a",
                  zip_file(global("collections", "OrderedDict") + tuple({pairs}) + "R"));
  EXPECT_TRUE(same_bits(read_torch_file(folder / "a").tensors.at("w"), torch::zeros({2, 3})));
}

TEST(TorchFile, KeepsViewsWithinTheirStorage) {
  const test::TemporaryFolder folder;
  std::string data;
  for (int i = 0; i < 6; ++i) {
    const auto value = static_cast<float>(i);
    data.append(reinterpret_cast<const char*>(&value), sizeof(value));
  }
  write_text_file(folder / "a",
                  zip_file(dict("w", tensor(numbers({2, 2}), numbers({1, 2}), 2)), data));
  EXPECT_TRUE(same_bits(read_torch_file(folder / "a").tensors.at("w"),
                        torch::tensor({{2.0F, 4.0F}, {3.0F, 5.0F}})));
}

TEST(TorchFile, RefusesEveryTruncation) {
  const test::TemporaryFolder folder;
  const auto path = folder / "cut";
  for (const char* name : {"formats/training.pt", "formats/training_legacy.pth"}) {
    write_text_file(path, read_text_file(test::fixture(name)));
    for (auto length = std::filesystem::file_size(path) - 1; length > 11; length -= 11) {
      std::filesystem::resize_file(path, length);
      EXPECT_THAT(input_error([&] { read_torch_file(path); }), HasSubstr(path.string() + ": "))
          << name << " after " << length << " bytes";
    }
  }
}

TEST(TorchFile, NoticesAnAlteredByteOfTheData) {
  const test::TemporaryFolder folder;
  auto bytes = zip_file(dict("w", tensor(numbers({6}), numbers({1}))), std::string(24, 'A'));
  bytes[bytes.find("AAAA") + 5] = 'B';
  write_text_file(folder / "a", bytes);
  EXPECT_EQ(input_error([&] { read_torch_file(folder / "a"); }),
            (folder / "a").string() +
                ": member 'a/data/0': expected the end of the data, found CRC error");
}

/// A file that is refused, and all that is said after its path.
struct HostileTorchFile {
  const char* name;
  std::string bytes;
  std::string message;
};

void PrintTo(const HostileTorchFile& file, std::ostream* out) { *out << file.name; }

class HostileTorch : public testing::TestWithParam<HostileTorchFile> {};

TEST_P(HostileTorch, IsRefusedInOneLine) {
  const test::TemporaryFolder folder;
  const auto path = folder / "a.pth";
  write_text_file(path, GetParam().bytes);
  EXPECT_EQ(input_error([&] { read_torch_file(path); }), path.string() + GetParam().message);
}

constexpr const char* kInPickle = ": member 'a/data.pkl': expected ";

/// Dicts that each hold the last one twice: 2^`levels` tensors.
std::string doubling_dicts(int levels) {
  std::string value = tensor(numbers({6}), numbers({1})) + "q\x01";
  for (int level = 0; level < levels; ++level) {
    value += "0}" + text("a") + "h\x01s" + text("b") + "h\x01s" + "q\x01";
  }
  return value;
}

INSTANTIATE_TEST_SUITE_P(
    Pickles, HostileTorch,
    testing::Values(
        HostileTorchFile{"CallsTheSystem",
                         zip_file(global("os", "system") + text("true") + "\x85R"),
                         std::string(kNoStateDict) + "os.system"},
        HostileTorchFile{"CallsByName", zip_file(text("builtins") + text("eval") + "\x93" + ")R"),
                         std::string(kNoStateDict) + "builtins.eval"},
        HostileTorchFile{"CallsAResult",
                         zip_file(global("builtins", "getattr") + ")R" + text("x") + "\x85R"),
                         std::string(kNoStateDict) + "builtins.getattr"},
        HostileTorchFile{"NameOfTwoLines", zip_file(text("a\nb") + text("c") + "\x93)R"),
                         std::string(kNoStateDict) + "a?b.c"},
        HostileTorchFile{"NameAlone", zip_file(global("os", "system")),
                         ": expected a state dict with tensors, found none"},
        HostileTorchFile{
            "UnknownInstruction", zip_file("\x82\x01"),
            std::string(kInPickle) + "a state dict, found the pickle instruction 0x82 at byte 2"},
        HostileTorchFile{"NewerPickle", zip_file("\x80\x09"),
                         std::string(kInPickle) + "a state dict, found a newer pickle at byte 4"},
        HostileTorchFile{"NoEnd", test::zip_bytes({{"a/data.pkl", "\x80\x02"}}),
                         std::string(kInPickle) + "a whole pickle, found its end after 2 bytes"},
        HostileTorchFile{"TextBeyondTheEnd", zip_file("X\xff\xff\xff\xff"),
                         std::string(kInPickle) + "a whole pickle, found its end after 8 bytes"},
        HostileTorchFile{"EmptyStack", zip_file("0"),
                         std::string(kInPickle) + "a state dict, found an empty stack at byte 3"},
        HostileTorchFile{"PopsBelowAMark", zip_file("N(0"),
                         std::string(kInPickle) + "a state dict, found an empty stack at byte 5"},
        HostileTorchFile{"NoMark", zip_file("t"),
                         std::string(kInPickle) + "a state dict, found no mark at byte 3"},
        HostileTorchFile{"NothingRemembered", zip_file("h\x05"),
                         std::string(kInPickle) +
                             "a state dict, found an object that was not remembered at byte 4"},
        HostileTorchFile{
            "KeyWithoutAValue", zip_file("}(Nu"),
            std::string(kInPickle) + "a state dict, found a key without a value at byte 6"},
        HostileTorchFile{
            "KeyForAList", zip_file("]NNs"),
            std::string(kInPickle) + "a state dict, found a key for no dict at byte 6"},
        HostileTorchFile{"CallsAText", zip_file(text("f") + ")R"),
                         std::string(kInPickle) +
                             "a state dict, found a call of what is no function at byte 10"},
        HostileTorchFile{
            "StorageOfNoType",
            zip_file(tuple({text("storage"), text("x"), text("0"), text("cpu"), integer(6)}) + "Q"),
            std::string(kInPickle) + "a state dict, found a reference to no storage at byte 47"},
        HostileTorchFile{"TensorOfNothing",
                         zip_file(global("torch._utils", "_rebuild_tensor_v2") + ")R"),
                         std::string(kInPickle) +
                             "a state dict, found a tensor without storage, offset, sizes and "
                             "strides at byte 37"},
        HostileTorchFile{
            "ManyObjects", zip_file(std::string(4'000'001, 'N')),
            std::string(kInPickle) + "a pickle of at most 4000000 objects, found more"},
        HostileTorchFile{
            "ManyMarks", zip_file(std::string(4'000'001, '(')),
            std::string(kInPickle) + "a state dict, found too many marks at byte 4000003"}),
    [](const auto& file) { return file.param.name; });

constexpr const char* kTensor = ": tensor 'w': expected ";

INSTANTIATE_TEST_SUITE_P(
    Tensors, HostileTorch,
    testing::Values(
        HostileTorchFile{"SizesBeyondTheStorage",
                         zip_file(dict("w", tensor(numbers({7}), numbers({1})))),
                         std::string(kTensor) +
                             "a view of its storage of 6 elements, found [7], strides [1], from 0"},
        HostileTorchFile{"StridesBeyondTheStorage",
                         zip_file(dict("w", tensor(numbers({2, 2}), numbers({5, 1})))),
                         std::string(kTensor) +
                             "a view of its storage of 6 elements, found [2, 2], strides [5, 1], "
                             "from 0"},
        HostileTorchFile{"StridesOverflow",
                         zip_file(dict("w", tensor(numbers({3}), numbers({int64_t{1} << 62})))),
                         std::string(kTensor) +
                             "a view of its storage of 6 elements, found [3], strides "
                             "[4611686018427387904], from 0"},
        HostileTorchFile{"OffsetBeyondTheStorage",
                         zip_file(dict("w", tensor(numbers({1}), numbers({1}), 6))),
                         std::string(kTensor) +
                             "a view of its storage of 6 elements, found [1], strides [1], from 6"},
        HostileTorchFile{
            "NegativeOffset", zip_file(dict("w", tensor(numbers({1}), numbers({1}), -1))),
            std::string(kTensor) +
                "a view of its storage of 6 elements, found [1], strides [1], from -1"},
        HostileTorchFile{
            "StridesOfZero", zip_file(dict("w", tensor(numbers({1 << 30}), numbers({0})))),
            std::string(kTensor) +
                "a view of its storage of 6 elements, found [1073741824], strides [0], "
                "from 0"},
        HostileTorchFile{"NegativeSize", zip_file(dict("w", tensor(numbers({-6}), numbers({1})))),
                         std::string(kTensor) + "sizes and strides from 0 on, found -6"},
        HostileTorchFile{
            "TextAsSize", zip_file(dict("w", tensor(tuple({text("6")}), numbers({1})))),
            std::string(kTensor) + "sizes and strides from 0 on, found something else"},
        HostileTorchFile{"SizesOverflow",
                         zip_file(dict("w", tensor(numbers({int64_t{1} << 32, int64_t{1} << 32}),
                                                   numbers({0, 0})))),
                         std::string(kTensor) +
                             "a shape that fits in memory, with a stride for each axis, found "
                             "[4294967296, 4294967296], strides [0, 0]"},
        HostileTorchFile{"StrideMissing",
                         zip_file(dict("w", tensor(numbers({2, 3}), numbers({1})))),
                         std::string(kTensor) +
                             "a shape that fits in memory, with a stride for each axis, found [2, "
                             "3], strides [1]"},
        HostileTorchFile{"ManyAxes",
                         zip_file(dict("w", tensor(numbers(std::vector<int64_t>(65, 1)),
                                                   numbers(std::vector<int64_t>(65, 1))))),
                         std::string(kTensor) + "at most 64 axes, found 65"},
        HostileTorchFile{"NameThatIsNotUtf8",
                         zip_file(dict("\xff", tensor(numbers({6}), numbers({1})))),
                         ": tensor '\xff': expected a name in UTF-8, found other bytes"},
        HostileTorchFile{"TwoOfAName",
                         zip_file("}" + text("w") + tensor(numbers({6}), numbers({1})) + "s" +
                                  text("w") + tensor(numbers({6}), numbers({1})) + "s"),
                         std::string(kTensor) + "one tensor of a name, found two"},
        HostileTorchFile{"DictInItself", zip_file("}q\x01" + text("a") + "h\x01s"),
                         ": expected a state dict, found more than 32 levels of it"},
        HostileTorchFile{"DictsThatDouble", zip_file(doubling_dicts(31)),
                         ": expected a state dict, found dicts that hold each other over and over"},
        HostileTorchFile{"NoTensors", zip_file("}"),
                         ": expected a state dict with tensors, found none"},
        HostileTorchFile{"OneTensor", zip_file(tensor(numbers({6}), numbers({1}))),
                         ": expected a state dict, found one tensor without a name"}),
    [](const auto& file) { return file.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Archives, HostileTorch,
    testing::Values(
        HostileTorchFile{
            "StorageMissing",
            test::zip_bytes({{"a/data.pkl", pickle(dict("w", tensor(numbers({6}), numbers({1}))))},
                             {"a/data/1", six_floats()}}),
            ": expected a member 'a/data/0', found none"},
        HostileTorchFile{"StorageTooShort",
                         zip_file(dict("w", tensor(numbers({6}), numbers({1}))), "1234"),
                         ": member 'a/data/0': expected 24 bytes, found 4"},
        HostileTorchFile{
            "HugeStorage",
            zip_file(dict("w", tensor(numbers({6}), numbers({1}), 0, storage(int64_t{1} << 60)))),
            std::string(": member 'a/data.pkl': storage '0': expected at most the ") +
                "376 bytes that are left for it, found 1152921504606846976 elements "
                "of Float"},
        HostileTorchFile{
            "TwoPickles",
            test::zip_bytes({{"a/data.pkl", pickle("}")}, {"b/data.pkl", pickle("}")}}),
            ": expected one file of torch.save, found two in one archive"},
        HostileTorchFile{
            "TwoMembersOfAName",
            test::zip_bytes({{"a/data.pkl", pickle("}")}, {"a/data.pkl", pickle("}")}}),
            ": member 'a/data.pkl': expected one member of a name, found two"},
        HostileTorchFile{"BigEndian",
                         test::zip_bytes({{"a/data.pkl", pickle("}")}, {"a/byteorder", "big"}}),
                         ": member 'a/byteorder': expected little, found another byte order"},
        HostileTorchFile{
            "PathAsKey",
            test::zip_bytes(
                {{"a/data.pkl",
                  pickle(dict("w",
                              tensor(numbers({1}), numbers({1}), 0,
                                     tuple({text("storage"), global("torch", "FloatStorage"),
                                            text("../../etc/passwd"), text("cpu"), integer(1)}) +
                                         "Q")))}}),
            ": expected a member 'a/data/../../etc/passwd', found none"},
        HostileTorchFile{"Empty", "", ": expected a whole pickle, found its end after 0 bytes"},
        HostileTorchFile{"OtherPickle", pickle("}"),
                         ": expected a file of torch.save, found another pickle"},
        HostileTorchFile{"LegacyBigEndian",
                         legacy_file("}", "", "}" + text("little_endian") + "\x89" + "s"),
                         ": expected a little-endian file, found a big-endian one"},
        HostileTorchFile{
            "LegacyWithoutData",
            legacy_file(dict("w", tensor(numbers({6}), numbers({1}))), storage_keys()),
            ": storage '0': expected at most the 0 bytes that are left for it, found 6 "
            "elements of Float"},
        HostileTorchFile{"LegacyLengthsDisagree",
                         legacy_file(dict("w", tensor(numbers({6}), numbers({1}))),
                                     storage_keys() + little_endian(5, 8) + six_floats()),
                         ": storage '0': expected 6 elements, found 5"},
        HostileTorchFile{
            "LegacyDataCutOff",
            legacy_file(dict("w", tensor(numbers({6}), numbers({1}))),
                        storage_keys() + little_endian(6, 8) + six_floats().substr(0, 20)),
            ": storage '0': expected 24 bytes, found the end of the file after 20"},
        HostileTorchFile{"LegacyKeyMissing",
                         legacy_file(dict("w", tensor(numbers({6}), numbers({1}))),
                                     pickle("]") + little_endian(6, 8) + six_floats()),
                         ": expected a storage '0', found none"},
        HostileTorchFile{
            "LegacyOtherKey",
            legacy_file(dict("w", tensor(numbers({6}), numbers({1}))),
                        pickle("]" + text("9") + "a") + little_endian(6, 8) + six_floats()),
            ": expected the storages of its tensors, once each, found storage '9'"}),
    [](const auto& file) { return file.param.name; });

}  // namespace
}  // namespace softmoe

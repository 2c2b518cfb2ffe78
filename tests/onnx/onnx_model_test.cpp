/// Exported models as files: their structure, weights and metadata.

#include "onnx/onnx_model.h"

#include <gmock/gmock.h>

#include <fstream>

#include "core/version.h"
#include "io/atomic_file.h"
#include "onnx/onnx_cases.h"
#include "onnx/onnx_reader.h"
#include "softmoe/routers.h"
#include "support/error_text.h"
#include "support/file_size_limit.h"
#include "support/temporary_folder.h"
#include "support/tensor_matcher.h"

namespace softmoe::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;
using testing::UnorderedElementsAre;

constexpr int kFloat = static_cast<int>(OnnxType::kFloat);
constexpr int kBFloat16 = static_cast<int>(OnnxType::kBFloat16);

class OnnxModel : public testing::Test {
 protected:
  std::string path(const std::string& name = "model.onnx") const { return folder_ / name; }

  OnnxSummary written(const VitOptions& model, const OnnxOptions& options = {}) const {
    write_onnx(graph_of(exported_model(model), options), path(), options.external_data);
    EXPECT_EQ(onnx_complaint(path()), "");
    return read_onnx(path());
  }

 private:
  TemporaryFolder folder_;
};

torch::Tensor values_of(const OnnxEntry& entry, torch::Dtype dtype) {
  return torch::from_blob(const_cast<char*>(entry.bytes.data()), entry.shape, dtype).clone();
}

int64_t count(const OnnxSummary& summary, const std::string& op) {
  const auto found = summary.operators.find(op);
  return found == summary.operators.end() ? 0 : found->second;
}

TEST_F(OnnxModel, TakesAnyNumberOfImages) {
  const auto summary = written(small_moe_options());
  EXPECT_THAT(summary.inputs,
              ElementsAre(Pair("images", OnnxEntry{.type = kFloat, .shape = {-1, 3, 8, 12}})));
  EXPECT_THAT(summary.outputs,
              ElementsAre(Pair("logits", OnnxEntry{.type = kFloat, .shape = {-1, 7}})));
  EXPECT_THAT(summary.domains, IsEmpty());
  EXPECT_EQ(summary.opset, 17);
}

TEST_F(OnnxModel, TakesAFixedNumberOfImages) {
  const auto summary = written(small_moe_options(), {.batch_size = 5});
  EXPECT_THAT(summary.inputs.at("images").shape, ElementsAre(5, 3, 8, 12));
  EXPECT_THAT(summary.outputs.at("logits").shape, ElementsAre(5, 7));
}

TEST_F(OnnxModel, TakesPixels) {
  const auto summary = written(small_options(), {.preprocess = true});
  EXPECT_EQ(summary.inputs.at("images"),
            (OnnxEntry{.type = static_cast<int>(OnnxType::kUInt8), .shape = {-1, 8, 12, 3}}));
  const auto mean = values_of(summary.constants.at("preprocess.mean"), torch::kFloat32);
  EXPECT_TRUE(
      same_bits(mean, torch::tensor({0.485 * 255, 0.456 * 255, 0.406 * 255}, torch::kFloat32)));
}

TEST_F(OnnxModel, GivesFeaturesWhereAskedOrWithoutAHead) {
  auto options = small_options();
  options.pre_logits = 11;
  EXPECT_THAT(written(options, {.features = true}).outputs,
              UnorderedElementsAre(Pair("logits", testing::_),
                                   Pair("features", OnnxEntry{.type = kFloat, .shape = {-1, 11}})));
  options.num_classes = 0;
  EXPECT_THAT(written(options).outputs, ElementsAre(Pair("features", testing::_)));
}

TEST_F(OnnxModel, RunsAllExpertsInOneProduct) {
  const auto summary = written(small_moe_options());  // experts in 2 of 3 blocks
  // qkv, scores, mixing and projection in each block, the MLP of one; logits, dispatch, both layers
  // of the experts and combine in the others; the head.
  EXPECT_EQ(count(summary, "MatMul"), 3 * 4 + 2 + 2 * 5 + 1);
  EXPECT_THAT(summary.constants.at("blocks.1.moe.experts.fc1_weight.transposed").shape,
              ElementsAre(3, 24, 40));
  EXPECT_EQ(count(summary, "LayerNormalization"), 2 * 3 + 1);
  EXPECT_EQ(count(summary, "Shape"), 0);
}

TEST_F(OnnxModel, KeepsToTheOperatorsOfItsOpset) {
  auto options = small_moe_options("tokens_choice");
  options.gelu = Activation::kGeluExact;
  const auto old = written(options, {.opset = 13});
  EXPECT_EQ(count(old, "LayerNormalization"), 0);
  EXPECT_EQ(old.opset, 13);
  EXPECT_EQ(count(written(options), "LayerNormalization"), 7);
  write_onnx(graph_of(exported_model(options), {.opset = 20}), path(), ExternalData::kAuto);
  EXPECT_EQ(count(read_onnx(path()), "Gelu"), 3);
  EXPECT_EQ(count(read_onnx(path()), "Erf"), 0);
}

TEST_F(OnnxModel, StoresMatricesInTheDtypeAskedFor) {
  const auto loaded = exported_model(small_moe_options());
  const auto weights = named_tensors(*loaded.model);
  const auto graph = graph_of(loaded, {.dtype = Precision::kBFloat16});
  write_onnx(graph, path(), ExternalData::kAuto);
  EXPECT_EQ(onnx_complaint(path()), "");
  const auto summary = read_onnx(path());
  EXPECT_LT(graph.constant_bytes(), graph_of(loaded).constant_bytes() * 6 / 10);
  for (const char* name : {"blocks.1.moe.experts.fc2_weight", "blocks.0.attn.qkv.weight"}) {
    const auto& entry = summary.constants.at(std::string(name) + ".transposed");
    EXPECT_EQ(entry.type, kBFloat16);
    EXPECT_TRUE(same_bits(values_of(entry, torch::kBFloat16),
                          weights.at(name).transpose(-2, -1).to(torch::kBFloat16).contiguous()));
  }
  for (const char* name : {"blocks.1.moe.router.keys", "positions", "norm.weight", "head.bias"}) {
    EXPECT_EQ(summary.constants.at(name).type, kFloat) << name;
  }
}

TEST_F(OnnxModel, RefusesWeightsThatFloat16CannotHold) {
  const auto loaded = exported_model(small_options());
  torch::NoGradGuard no_grad;
  loaded.model->named_parameters()["blocks.1.mlp.fc1.weight"][3][5] = 7e4;
  const auto graph = graph_of(loaded, {.dtype = Precision::kFloat16});
  EXPECT_THAT(input_error([&] { write_onnx(graph, path(), ExternalData::kAuto); }),
              testing::AllOf(HasSubstr("blocks.1.mlp.fc1.weight"), HasSubstr("float16")));
  EXPECT_FALSE(std::filesystem::exists(path()));
}

TEST_F(OnnxModel, KeepsWeightsBesideIt) {
  const auto loaded = exported_model(small_options());
  const auto graph = graph_of(loaded);
  const auto files = write_onnx(graph, path(), ExternalData::kAlways);
  EXPECT_EQ(files.data, path("model.onnx.data"));
  EXPECT_EQ(onnx_complaint(path()), "");
  const auto data = read_text_file(files.data);
  const auto summary = read_onnx(path());
  int64_t outside = 0;
  for (const auto& [name, entry] : summary.constants) {
    outside += entry.location.empty() ? 0 : 1;
    EXPECT_TRUE(entry.location.empty() || entry.location == "model.onnx.data");
    EXPECT_EQ(entry.offset % 4096, 0);
  }
  EXPECT_GT(outside, 10);
  const auto& entry = summary.constants.at("blocks.2.mlp.fc1.weight.transposed");
  const auto stored =
      torch::from_blob(const_cast<char*>(data.data()) + entry.offset, entry.shape, torch::kFloat32);
  const auto weight = loaded.model->named_parameters()["blocks.2.mlp.fc1.weight"];
  EXPECT_TRUE(same_bits(stored.clone(), weight.detach().t().contiguous()));
  EXPECT_FALSE(summary.constants.at("head.bias").bytes.empty());
}

TEST_F(OnnxModel, RefusesMoreThanProtobufHoldsWithoutExternalData) {
  OnnxGraph graph(17);
  const auto weight = graph.constant(
      "weight",
      {.type = OnnxType::kFloat, .shape = {1 << 15, 1 << 15}, .bytes = [] { return OnnxBytes{}; }});
  graph.output("out", weight, OnnxType::kFloat, {1 << 15, 1 << 15});
  EXPECT_THAT(input_error([&] { write_onnx(graph, path(), ExternalData::kNever); }),
              testing::AllOf(HasSubstr("2 GB"), HasSubstr("4294967296")));
}

TEST_F(OnnxModel, IsWholeOrNotThere) {
  const auto graph = graph_of(exported_model(small_options()));
  write_text_file(path(), "before");
  {
    const FileSizeLimit limit(20000);
    EXPECT_THAT(input_error([&] { write_onnx(graph, path(), ExternalData::kAuto); }),
                HasSubstr(path()));
    EXPECT_THAT(input_error([&] { write_onnx(graph, path(), ExternalData::kAlways); }),
                HasSubstr(path()));
  }
  EXPECT_EQ(read_text_file(path()), "before");
  EXPECT_FALSE(std::filesystem::exists(path("model.onnx.data")));
}

TEST_F(OnnxModel, LeavesNoDataWhereTheModelCannotBe) {
  const auto graph = graph_of(exported_model(small_options()));
  std::filesystem::create_directory(path());
  EXPECT_THAT(input_error([&] { write_onnx(graph, path(), ExternalData::kAlways); }),
              HasSubstr("directory"));
  EXPECT_FALSE(std::filesystem::exists(path("model.onnx.data")));
}

TEST_F(OnnxModel, KeepsDataBesideWhatALinkLeadsTo) {
  const auto graph = graph_of(exported_model(small_options()));
  std::filesystem::create_directory(path("sub"));
  std::filesystem::create_symlink("sub/real.onnx", path("link.onnx"));
  const auto files = write_onnx(graph, path("link.onnx"), ExternalData::kAlways);
  EXPECT_EQ(files.data, path("sub/real.onnx.data"));
  EXPECT_TRUE(std::filesystem::is_symlink(path("link.onnx")));
  EXPECT_EQ(onnx_complaint(path("sub/real.onnx")), "");
}

TEST_F(OnnxModel, IsTheSameForTheSameModel) {
  const auto loaded = exported_model(small_moe_options("tokens_choice"));
  write_onnx(graph_of(loaded), path("a"), ExternalData::kAuto);
  write_onnx(graph_of(loaded), path("b"), ExternalData::kAuto);
  EXPECT_EQ(read_text_file(path("a")), read_text_file(path("b")));
}

TEST_F(OnnxModel, SaysWhereItComesFrom) {
  auto loaded = exported_model(small_moe_options());
  loaded.description.class_names = {"zero", "one", "two"};
  loaded.description.likelihood = Likelihood::kSigmoid;
  write_onnx(graph_of(loaded), path(), ExternalData::kAuto);
  const auto summary = read_onnx(path());
  EXPECT_EQ(summary.producer, "softmoe");
  EXPECT_EQ(summary.metadata.at("softmoe_version"), kVersion);
  EXPECT_EQ(summary.metadata.at("model_name"), "small");
  EXPECT_EQ(summary.metadata.at("loss"), "sigmoid");
  EXPECT_EQ(summary.metadata.at("classes"), R"(["zero","one","two"])");
  EXPECT_EQ(options_from_json<VitOptions>(Json::parse(summary.metadata.at("model")), "model"),
            loaded.description.options);
  EXPECT_EQ(Json::parse(summary.metadata.at("preprocess")),
            options_to_json(*loaded.description.preprocess));
}

TEST_F(OnnxModel, IsSoundForEveryRouterOrRefused) {
  std::vector<std::string> refused;
  for (const auto& router : router_names()) {
    SCOPED_TRACE(router);
    const auto loaded = exported_model(small_moe_options(router));
    try {
      write_onnx(graph_of(loaded), path(), ExternalData::kAuto);
      EXPECT_EQ(onnx_complaint(path()), "");
      EXPECT_THAT(read_onnx(path()).unused, IsEmpty());
    } catch (const UsageError& error) {
      EXPECT_THAT(error.what(), testing::AllOf(HasSubstr("'" + router + "'"),
                                               HasSubstr("tokens_choice, experts_choice")));
      refused.push_back(router);
    }
  }
  EXPECT_THAT(refused, UnorderedElementsAre("sinkhorn", "base", "relu"));
}

TEST_F(OnnxModel, RefusesCapacitiesThatIntegersDoNotGive) {
  auto options = small_moe_options("tokens_choice");
  options.moe.capacity_factor = 1.0 / std::numbers::pi;
  EXPECT_THAT(usage_error([&] { graph_of(exported_model(options)); }),
              HasSubstr("capacity factor"));
  EXPECT_NO_THROW(graph_of(exported_model(options), {.batch_size = 2}));
}

TEST(OnnxGraph, RefusesTwoValuesOfOneName) {
  OnnxGraph graph(17);
  graph.input("images", OnnxType::kFloat, {kAnyLength});
  EXPECT_THROW(graph.input("images", OnnxType::kFloat, {kAnyLength}), std::logic_error);
  EXPECT_EQ(graph.ints({1, 2}), graph.ints({1, 2}));
  EXPECT_NE(graph.ints({1, 2}), graph.ints({12}));
  EXPECT_NE(graph.scalar(0.1F), graph.scalar(std::nextafter(0.1F, 1.0F)));
  EXPECT_THROW(OnnxGraph(12), std::invalid_argument);
}

}  // namespace
}  // namespace softmoe::test

/// What readers say of models that do not describe themselves.

#include "checkpoints/convert/reading_notes.h"

#include <gmock/gmock.h>

#include "checkpoints/convert/configured_model.h"
#include "checkpoints/convert/write_foreign.h"
#include "checkpoints/formats/pickle_bytes.h"
#include "io/npz.h"

namespace softmoe {
namespace {

using test::changed;
using test::square_options;
using test::token_pooling;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

TEST(ReadingNotes, SayWhatIsAssumedByReason) {
  ReadingNotes notes;
  notes.assume("heads", "3", "usual at dim 192");
  notes.assume("gelu", "exact", "family timm");
  notes.assume("norm-eps", "1e-06", "family timm");
  notes.choose("qkv-bias", "0", "the file has none");
  EXPECT_EQ(assumed_text(notes.assumed),
            "--heads 3 (usual at dim 192); --gelu exact, --norm-eps 1e-06 (family timm)");
  EXPECT_THAT(all_choices(notes),
              ElementsAre("qkv-bias 0 (the file has none)", "heads 3 (usual at dim 192)",
                          "gelu exact (family timm)", "norm-eps 1e-06 (family timm)"));
  EXPECT_EQ(assumed_text({}), "");
}

class NotesOnFiles : public test::ConfiguredModel {
 protected:
  void write(const std::string& family) {
    ConfiguredModel::write(family, changed(square_options(), token_pooling));
  }
  std::string assumed(const std::string& config) {
    return assumed_text(read(config).notes.assumed);
  }
};

TEST_F(NotesOnFiles, AssumeWhatNoConfigSays) {
  write("timm");
  EXPECT_EQ(assumed(R"({"architecture": "vit_x"})"),
            "--global-pool token, --gelu exact, --norm-eps 1e-06, --mean 0.5, --std 0.5, "
            "--interpolation bicubic, --crop-pct 0.9 (family timm); --heads 3 (usual at dim 192); "
            "--from-img-size 12 (9 positions, a square)");
  EXPECT_EQ(assumed(R"({"architecture": "vit_x", "model_args": {"num_heads": 3, "img_size": 12,
                       "act_layer": "gelu", "global_pool": "token"}, "pretrained_cfg": {
                       "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "crop_pct": 0.9,
                       "interpolation": "bicubic"}})"),
            "--norm-eps 1e-06 (family timm)");
}

TEST_F(NotesOnFiles, AssumeTheWholeRouting) {
  test::TemporaryFolder folder;
  for (const auto& [router, options] :
       {std::pair{"tokens_choice",
                  "--router tokens_choice (weights do not tell sparse routers apart); --top-k 1, "
                  "--capacity-factor 1.0, --eval-capacity-factor 0.0, --capacity-multiple 0, "
                  "--capacity-rounding usual, --group-images 0, --no-batch-priority, "
                  "--no-renormalize-gates, --gate-order before, --gate-function softmax, "
                  "--dispatch-dtype float32 (routing is not in the weights)"},
        {"soft", "--router-eps 1e-06, --dispatch-dtype float32 (routing is not in the weights)"}}) {
    const auto model_options = test::square_moe_options(router);
    write_npz(folder / "a.npz", to_family_names(named_tensors(*test::lively_model(model_options)),
                                                find_family("vmoe"), model_options.heads, "model"));
    EXPECT_THAT(assumed_text(read_foreign_model(folder / "a.npz").notes.assumed),
                HasSubstr(options));
  }
}

TEST_F(NotesOnFiles, SayThatLabelsAreOfTheWrongNumber) {
  write("timm");
  auto model = read(R"({"architecture": "a", "label_names": ["ant", "bee"]})");
  EXPECT_THAT(
      model.notes.unused,
      ElementsAre("config.json: label_names has 2 names for 7 classes: labels have no names"));
  EXPECT_THAT(model.description.class_names, IsEmpty());
  model = read(R"({"architecture": "a", "label_names": {"a": "ant"}})");
  EXPECT_THAT(model.notes.unused, ElementsAre(HasSubstr("is no list of one name per class")));
  write("hf_vit");
  model = read(R"({"model_type": "vit", "id2label": {"0": "ant", "2": "bee"}})");
  EXPECT_THAT(model.notes.unused,
              ElementsAre(HasSubstr("id2label is no list of one name per class")));
  model = read(R"({"model_type": "vit", "id2label": {"0": "ant"}})");
  EXPECT_THAT(model.notes.unused, ElementsAre(HasSubstr("id2label has 1 name for 7 classes")));
  // The names that transformers gives, which say nothing.
  model = read(R"({"model_type": "vit", "id2label": {"0": "LABEL_0", "1": "LABEL_1"}})");
  EXPECT_THAT(model.notes.unused, IsEmpty());
}

TEST_F(NotesOnFiles, SayThatAConfigBesideThemIsNotTheirs) {
  write("timm");
  EXPECT_THAT(read("no JSON").notes.unused, ElementsAre(HasSubstr("config.json: expected JSON")));
  EXPECT_THAT(read(R"({"learning_rate": 1})").notes.unused,
              ElementsAre("not read: config.json has nothing of family timm"));
  EXPECT_THAT(read(R"({"architecture": "a"})").notes.unused, IsEmpty());
  // Files of Hugging Face have one of their own.
  write("hf_vit");
  EXPECT_THAT(reading_error("no JSON"), HasSubstr("config.json: expected JSON"));
}

TEST_F(NotesOnFiles, NameObjectsWhoseTensorsAreNotRead) {
  namespace pickles = test::pickles;
  const auto options = changed(square_options(), token_pooling);
  const auto weights = to_family_names(named_tensors(*test::lively_model(options)),
                                       find_family("timm"), options.heads, "model");
  int64_t elements = 0;
  for (const auto& [name, tensor] : weights) {
    elements += tensor.numel();
  }
  std::string data;
  std::string state = "}";
  for (const auto& [name, tensor] : weights) {
    const auto plain = tensor.detach().contiguous();
    const auto offset = static_cast<int64_t>(data.size() / sizeof(float));
    data.append(static_cast<const char*>(plain.const_data_ptr()), plain.nbytes());
    state += pickles::text(name) +
             pickles::tensor(pickles::numbers(plain.sizes().vec()),
                             pickles::numbers(plain.strides().vec()), offset,
                             pickles::storage(elements)) +
             "s";
  }
  const auto shadow =
      pickles::tensor(pickles::numbers({2}), pickles::numbers({1}), 0, pickles::storage(elements));
  const auto average =
      pickles::global("my", "Average") + ")\x81" + pickles::dict("w", shadow) + "b";
  write_text_file(folder_ / "a.pth", pickles::zip_file("}" + pickles::text("model") + state + "s" +
                                                           pickles::text("ema") + average + "s",
                                                       data));
  const auto model = read_foreign_model(folder_ / "a.pth");
  EXPECT_EQ(model.prefix, "model.");
  EXPECT_THAT(model.notes.unused,
              ElementsAre("not read: tensors in an object of my.Average at 'ema'"));
}

TEST_F(NotesOnFiles, AConfigOfAnotherModelIsRefused) {
  write("hf_vit");
  EXPECT_THAT(reading_error(R"({"model_type": "vit", "num_hidden_layers": 2})"),
              HasSubstr("config.json: num_hidden_layers: expected 3, as the weights have blocks, "
                        "found 2"));
  EXPECT_THAT(reading_error(R"({"model_type": "vit", "hidden_size": 64})"),
              HasSubstr("hidden_size: expected 192, as the weights have channels, found 64"));
  EXPECT_THAT(reading_error(R"({"model_type": "vit", "intermediate_size": 7})"),
              HasSubstr("intermediate_size: expected MLPs of"));
  write("timm");
  EXPECT_THAT(reading_error(R"({"architecture": "a", "model_args": {"mlp_ratio": 9}})"),
              testing::AllOf(HasSubstr("mlp_ratio: expected MLPs of"), HasSubstr("found 1728")));
  EXPECT_THAT(reading_error(R"({"architecture": "a", "model_args": {"depth": 4}})"),
              HasSubstr("depth: expected 3"));
}

TEST_F(NotesOnFiles, ModelsOfOursAssumeNothing) {
  const auto options = square_options();
  ModelDescription description{.name = "a",
                               .options = options,
                               .class_names = {"a", "b", "c", "d", "e", "f", "g"},
                               .preprocess = default_preprocess(options)};
  description.preprocess->mean = {0.25};
  for (const auto format : {TensorFormat::kNpz, TensorFormat::kSafetensors}) {
    const auto file = folder_ / (format == TensorFormat::kNpz ? "a.npz" : "a.safetensors");
    write_foreign_model(file, format, find_family("ours"), description,
                        named_tensors(*test::lively_model(options)));
    const auto model = read_foreign_model(file);
    EXPECT_THAT(reading_lines(model), ElementsAre(Not(HasSubstr("assumed"))));
    EXPECT_EQ(to_metadata(model.description), to_metadata(description));
  }
}

}  // namespace
}  // namespace softmoe

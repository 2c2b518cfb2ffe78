#include "cli/ask_images.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/checkpoint_flags.h"
#include "cli/print_line.h"
#include "core/error.h"
#include "core/split_text.h"
#include "core/table.h"
#include "eval/asked_images.h"
#include "eval/model_evaluation.h"
#include "inference/image_inputs.h"

namespace softmoe::cli {
namespace {

/// The most probable answers about one image, as JSON.
Json best_answers(const torch::Tensor& probabilities, const std::vector<std::string>& answers,
                  int64_t topk) {
  const auto [values, places] = probabilities.topk(std::min(topk, std::ssize(answers)));
  Json best = Json::array();
  for (int64_t rank = 0; rank < values.size(0); ++rank) {
    const auto place = static_cast<size_t>(places[rank].item<int64_t>());
    best.push_back(
        {{"answer", valid_utf8(answers[place])}, {"probability", values[rank].item<double>()}});
  }
  return best;
}

Json answers_json(const AskedAnswers& asked, const Dataset& images,
                  const std::vector<std::string>& answers, int64_t topk) {
  Json list = Json::array();
  for (size_t row = 0; row < asked.indices.size(); ++row) {
    list.push_back(
        {{"image", valid_utf8(images.sample_name(asked.indices[row]))},
         {"answers", best_answers(asked.probabilities[static_cast<int64_t>(row)], answers, topk)}});
  }
  for (const auto& bad : asked.bad) {
    list.push_back(
        {{"image", valid_utf8(images.sample_name(bad.index))}, {"error", valid_utf8(bad.reason)}});
  }
  return list;
}

/// `text` as a field of CSV (RFC 4180).
std::string csv_field(const std::string& text) {
  std::string quoted = "\"";
  for (const char letter : text) {
    quoted += letter == '"' ? "\"\"" : std::string(1, letter);
  }
  return quoted + "\"";
}

std::string answers_text(const Json& images, PredictionFormat format) {
  if (format == PredictionFormat::kJson) {
    Json document;
    document["images"] = images;
    return json_text(document, 2) + "\n";
  }
  TextTable table({"image", "answer", "probability"}, {Align::kLeft, Align::kLeft, Align::kRight});
  std::string csv = "image,rank,answer,probability\n";
  for (const auto& image : images) {
    const auto name = image.at("image").get<std::string>();
    int64_t rank = 0;
    for (const auto& answer : image.value("answers", Json::array())) {
      const auto word = answer.at("answer").get<std::string>();
      const double probability = answer.at("probability");
      table.add_row({rank == 0 ? terminal_text(name) : "", terminal_text(word),
                     fmt::format("{:.2f} %", 100 * probability)});
      csv +=
          fmt::format("{},{},{},{:.6f}\n", csv_field(name), ++rank, csv_field(word), probability);
    }
  }
  return format == PredictionFormat::kCsv ? csv : table.text();
}

std::vector<std::string> given_answers(const std::string& text) {
  std::vector<std::string> answers;
  for (const auto& answer : split_text(text, ',')) {
    answers.push_back(trimmed(answer, " "));
  }
  return answers;
}

}  // namespace

void describe(OptionTable& table, AskOptions& options) {
  table.add("ask", options.question,
            "a question about the images, to a model of softmoe tune, such as 'How many circles?'");
  table.add("answers", options.answers,
            "the answers to choose from, with --ask, joined by commas: 'red,dark blue'",
            {.follows = "those of the model's tasks"});
}

void ask_and_print(const CommandLine& line, const AskOptions& options, const AskRequest& request,
                   const std::vector<std::string>& paths) {
  const auto device = line.device();
  auto model = open_asked_model(request.checkpoint, device);
  const auto answers =
      options.answers.empty() ? model.description.answers : given_answers(options.answers);
  check_asked_answers(model, answers, "--answers");
  const auto images = open_image_paths(paths);
  AskedAnswers asked;
  compute_batches(device, request.batch_size, [&] {
    asked =
        ask_images(model, *images, options.question, answers, model.transform(request.checkpoint),
                   {.batch_size = request.batch_size, .workers = request.workers},
                   {.device = device,
                    .dtype = evaluation_dtype(request.amp_dtype, model.metadata, device),
                    .label = "Ask"});
  });
  Json document;
  document["label"] = request.label.empty() ? checkpoint_label(request.checkpoint) : request.label;
  document["question"] = valid_utf8(options.question);
  document["images"] = answers_json(asked, *images, answers, request.topk);
  print_data(answers_text(document["images"], request.format));
  line.write_json(document);
  if (!asked.bad.empty()) {
    throw InputError(asked.bad.size() == 1
                         ? asked.bad.front().reason
                         : fmt::format("{} of {} images could not be read, first: {}",
                                       asked.bad.size(), images->size(), asked.bad.front().reason));
  }
}

}  // namespace softmoe::cli

#include "eval/question_batch.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <unordered_map>

#include "core/error.h"
#include "text/token_batch.h"

namespace softmoe {
namespace {

/// Questions of a set that are looked at.
constexpr int64_t kTriedQuestions = 2000;
/// Longer than any text that a model reads.
constexpr int64_t kAnyLength = int64_t{1} << 20;

void check_answers_of(const TaskQuestion& question, const std::string& task,
                      const Tokenizer& tokenizer, int64_t max_tokens) {
  std::map<std::vector<int64_t>, std::string> known;
  const auto empty = tokenizer.encode("", kAnyLength);
  for (const auto& answer : question.choices) {
    const auto where =
        fmt::format("task {}: answer '{}'", printable_text(task), printable_text(answer));
    const auto tokens =
        tokenizer.encode(answer, tokenizer.reads_padding() ? max_tokens : kAnyLength);
    if (tokens == empty) {
      throw InputError(where, "tokens of the vocabulary", "none");
    }
    if (std::ssize(tokens) > max_tokens) {
      throw InputError(where, fmt::format("at most {} tokens (--text-context)", max_tokens),
                       std::to_string(tokens.size()));
    }
    const auto [other, is_new] = known.emplace(tokens, answer);
    if (!is_new) {
      throw InputError(where, "other tokens than the other answers",
                       "those of '" + printable_text(other->second) + "'");
    }
  }
}

/// The choices of question `row` and behind them up to `count` right answers of those after it.
std::vector<std::string> open_choices(const std::vector<TaskQuestion>& questions, size_t row,
                                      int64_t count) {
  auto choices = questions[row].choices;
  const auto most = std::ssize(choices) + count;
  for (size_t step = 1; step < questions.size() && std::ssize(choices) < most; ++step) {
    const auto& other = questions[(row + step) % questions.size()];
    const auto& answer = other.choices[static_cast<size_t>(other.answer)];
    if (std::find(choices.begin(), choices.end(), answer) == choices.end()) {
      choices.push_back(answer);
    }
  }
  return choices;
}

}  // namespace

std::vector<TaskQuestion> questions_of(const Batch& batch, const TaskSet& tasks) {
  const auto indices = batch.indices.contiguous();  // [batch]
  std::vector<TaskQuestion> questions;
  for (int64_t row = 0; row < indices.numel(); ++row) {
    questions.push_back(tasks.question(indices.const_data_ptr<int64_t>()[row]));
  }
  return questions;
}

void add_questions(Batch& batch, const std::vector<TaskQuestion>& questions,
                   const Tokenizer& tokenizer, int64_t max_tokens, int64_t open_answers) {
  std::vector<std::string> texts;
  std::vector<std::string> answers;
  std::unordered_map<std::string, int64_t> number_of;
  std::vector<std::vector<std::string>> all_choices;
  int64_t most = 0;
  for (size_t row = 0; row < questions.size(); ++row) {
    texts.push_back(questions[row].text);
    all_choices.push_back(open_choices(questions, row, open_answers));
    most = std::max(most, std::ssize(all_choices.back()));
    for (const auto& answer : all_choices.back()) {
      if (number_of.try_emplace(answer, std::ssize(answers)).second) {
        answers.push_back(answer);
      }
    }
  }
  batch.choices = torch::full({std::ssize(questions), most}, -1, torch::kInt64);
  auto* const cells = batch.choices.mutable_data_ptr<int64_t>();  // [batch, choices]
  for (size_t row = 0; row < questions.size(); ++row) {
    const auto& choices = all_choices[row];
    for (size_t place = 0; place < choices.size(); ++place) {
      cells[row * static_cast<size_t>(most) + place] = number_of.at(choices[place]);
    }
  }
  const auto question_tokens = encode_texts(tokenizer, texts, max_tokens);
  const auto answer_tokens = encode_texts(tokenizer, answers, max_tokens);
  batch.token_ids = question_tokens.ids;          // [batch, tokens]
  batch.token_lengths = question_tokens.lengths;  // [batch]
  batch.answer_ids = answer_tokens.ids;           // [answers, tokens]
  batch.answer_lengths = answer_tokens.lengths;   // [answers]
}

void move_questions(Batch& batch, const torch::Device& device) {
  for (auto* const tensor : {&batch.token_ids, &batch.token_lengths, &batch.answer_ids,
                             &batch.answer_lengths, &batch.choices}) {
    *tensor = tensor->to(device);
  }
}

torch::Tensor answer_logits(InstructionModel& model, const Batch& batch, RoutingRecords* records,
                            RoutingRecords* text_records) {
  const auto questions = model->embed_questions(batch.images, batch.token_ids, batch.token_lengths,
                                                records, text_records);  // [batch, embedding]
  const auto answers =
      model->embed_answers(batch.answer_ids, batch.answer_lengths);  // [answers, embedding]
  return model->logits(questions, answers, batch.choices);           // [batch, choices]
}

void check_answers(const TaskSet& tasks, const Tokenizer& tokenizer, int64_t max_tokens) {
  const auto count = std::min(tasks.size(), kTriedQuestions);
  for (int64_t number = 0; number < count; ++number) {
    // Of all tasks, if they follow each other.
    const auto question = tasks.question(number * tasks.size() / count);
    check_answers_of(question, tasks.task(question.task).name, tokenizer, max_tokens);
  }
}

}  // namespace softmoe

#pragma once
/// The questions of tasks as a data set: pictures, whose labels are the places of the right answers
/// among the choices.

#include <memory>
#include <string>
#include <vector>

#include "datasets/dataset.h"
#include "datasets/tasks/task_kinds.h"
#include "datasets/tasks/task_mixture.h"

namespace softmoe {

/// Which questions a set has.
struct TaskSetOptions {
  bool train = true;
  int64_t samples = 10'000;  ///< of an epoch of training; else of each task
  int64_t side = 64;         ///< of a picture, in pixels
  uint64_t seed = 0;         ///< of training; other questions are the same for all seeds
  MixtureOptions mixture = {};
};

/// A question about a picture.
struct TaskQuestion {
  int64_t task = 0;  ///< number of the task in its set
  std::string text;
  std::vector<std::string> choices;
  int64_t answer = 0;  ///< place of the right one in `choices`
};

/// The questions of some tasks. For training the set is endless: a question is determined by (seed,
/// epoch, its number in the epoch), and its task is drawn by the rates of the mixture. Otherwise
/// each task has `samples` questions, task after task, that depend on the task's name alone, so
/// that results of different mixtures can be compared.
class TaskSet : public Dataset {
 public:
  /// Opens the sources. Throws UsageError or InputError that begins with the name of the task if
  /// one has no data or not the attributes that it asks for.
  TaskSet(const std::vector<TaskOptions>& tasks, const TaskSetOptions& options);

  int64_t size() const override;
  Sample get(int64_t index) const override;
  int64_t label(int64_t index) const override { return question(index).answer; }
  /// The names of the tasks.
  const std::vector<std::string>& class_names() const override { return names_; }
  std::string sample_name(int64_t index) const override;
  bool endless() const override { return options_.train; }

  TaskQuestion question(int64_t index) const;
  int64_t task_of(int64_t index) const;
  const TaskOptions& task(int64_t number) const;
  int64_t tasks() const { return std::ssize(tasks_); }
  /// The share of each task in training.
  const std::vector<double>& rates() const { return rates_; }
  /// All words of answers of questions of tasks, but texts that describe pictures: each once.
  std::vector<std::string> answer_words() const;

 private:
  /// A task, ready to draw questions.
  struct Entry {
    TaskOptions options;
    const TaskKindRow* kind;
    std::shared_ptr<const ItemSource> source;
    std::vector<std::string> wordings;
    int64_t attribute;
    int64_t by;

    /// What a kind draws questions from; refers to this entry.
    TaskMatter matter() const;
  };
  /// A question before its picture is painted.
  struct Drawn {
    TaskQuestion question;
    TaskScene scene;
  };

  Entry open_entry(const TaskOptions& task,
                   std::vector<std::pair<std::string, std::shared_ptr<const ItemSource>>>& opened);
  uint64_t key(int64_t index) const;
  Drawn draw(int64_t index) const;

  TaskSetOptions options_;
  std::vector<Entry> tasks_;
  std::vector<std::string> names_;
  std::vector<double> rates_;
};

}  // namespace softmoe

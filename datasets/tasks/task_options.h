#pragma once
/// What a task is: something that is asked about pictures, in words.

#include <cstdint>
#include <string>
#include <vector>

#include "core/options.h"
#include "datasets/dataset.h"

namespace softmoe {

/// A task. Each key of a task file is one of these options, or one of the data set (`data-dir`,
/// `label-column`, ...). Source of the form: instruction templates over data sets (Wei et al.,
/// arXiv:2109.01652; Longpre et al., arXiv:2301.13688).
struct TaskOptions {
  std::string name = {};       ///< of its table in the file; has no key
  std::string kind = {};       ///< a row of task_kinds()
  std::string family = {};     ///< tasks that are held out together; empty: the kind
  std::string source = {};     ///< "shapes", or a data set
  std::string attribute = {};  ///< what is asked for; empty: the first of the source
  std::string by = {};         ///< the attribute by which an item is named; empty: the second
  std::vector<std::string> ask = {};    ///< wordings; empty: those of the kind
  std::vector<std::string> words = {};  ///< for the values of `attribute`; empty: the source's
  int64_t max_choices = 16;             ///< answers that a question chooses from
  int64_t max_items = 6;                ///< of a picture of several items
  double weight = 1.0;                  ///< factor of its share of a mixture
  DatasetOptions data = {};             ///< of a data set; `source` stands for its `dataset`

  bool operator==(const TaskOptions&) const = default;

  const std::string& family_name() const { return family.empty() ? kind : family; }
};

/// The source of items that are drawn at run time.
inline constexpr const char* kShapeSource = "shapes";

/// Describes the options of data sets, too.
void describe(OptionTable& table, TaskOptions& options);

/// Returns true for options of data sets that tasks do not have: the source names the set, and
/// pictures have single labels.
bool is_no_task_option(const std::string& name);

}  // namespace softmoe

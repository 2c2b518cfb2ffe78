#pragma once
/// What a reader of foreign models says about them beside their options.

#include <string>
#include <vector>

namespace softmoe {

/// An option that outputs depend on and that nothing in a file tells.
struct Assumption {
  std::string option;  ///< "norm-eps"; as a flag of softmoe convert it changes the option
  std::string value;
  std::string reason;  ///< "family timm"
};

/// Lines about one model.
struct ReadingNotes {
  std::vector<std::string> choices;  ///< what does not follow from shapes, with its source
  std::vector<Assumption> assumed;
  std::vector<std::string>
      unused;  ///< what the file or its configs say and the model does not take

  void choose(const std::string& option, const std::string& value, const std::string& source);
  void assume(const std::string& option, const std::string& value, const std::string& reason);
};

/// "--heads 3 (usual at dim 192); --gelu exact, --norm-eps 1e-06 (family timm)", in the order of
/// the first of each reason; empty if nothing was assumed.
std::string assumed_text(const std::vector<Assumption>& assumed);

/// All choices, those that were assumed among them: "heads 3 (usual at dim 192)".
std::vector<std::string> all_choices(const ReadingNotes& notes);

}  // namespace softmoe

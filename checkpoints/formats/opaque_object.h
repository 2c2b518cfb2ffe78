#pragma once
/// Objects of Python that stand beside the tensors of a file. Private to checkpoints/.

#include <string>
#include <vector>

namespace softmoe {

/// An object that was not read: only what made it is known.
struct OpaqueObject {
  std::string name;            ///< as a tensor in its place would be called
  std::string maker;           ///< "MODULE.NAME" of its class, as printable_text()
  bool holds_tensors = false;  ///< itself, or objects in it
};

/// Of the objects in a file without a model, the one that most likely is the model: the first that
/// holds tensors, else the first; null if there are none.
const OpaqueObject* likely_model(const std::vector<OpaqueObject>& objects);

/// "an object of MODULE.NAME at 'model'", for messages.
std::string described(const OpaqueObject& object);

}  // namespace softmoe

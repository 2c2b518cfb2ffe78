#pragma once
/// The choice of the ridge penalty.

#include <vector>

#include "eval/few_shot.h"

namespace softmoe {

/// The results with the scores of one lambda for each number of shots, chosen as vmoe does: the
/// lambda with the best mean rank over all data sets and seeds. Ranks are those of *test*
/// accuracies, so `lambda_selected_on_test` is set. Equal accuracies share their rank, and of
/// lambdas with equal mean ranks the largest is chosen. All results must have the same shots and
/// lambdas.
std::vector<FewShotResult> select_lambdas_on_test(const std::vector<FewShotResult>& results);

}  // namespace softmoe

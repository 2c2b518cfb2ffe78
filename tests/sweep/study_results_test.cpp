#include "sweep/study_results.h"

#include "io/atomic_file.h"
#include "support/temporary_folder.h"

namespace softmoe {
namespace {

/// Two arms of two seeds whose results are written as the commands would.
class StudyResults : public testing::Test {
 protected:
  StudyResults() {
    options_.title = "which is better";
    options_.output = folder_.path().string();
    options_.arms = {"first: lr=1", "second: lr=2"};
    options_.axes = {"experts=8,16"};
    options_.seeds = 2;
    options_.measures = {"accuracy %: 0:/result/top1", "seconds: 0:/result/seconds"};
    cells_ = study_cells(options_);
    double top1 = 0.1;
    for (const auto& cell : cells_) {
      write_text_file(cell.steps[0].json,
                      Json{{"result", {{"top1", top1}, {"seconds", 100 * top1}}}}.dump());
      top1 += 0.1;
    }
  }

  test::TemporaryFolder folder_;
  StudyOptions options_;
  std::vector<StudyCell> cells_;
};

TEST_F(StudyResults, GiveMeanAndDeviationOverSeeds) {
  const auto rows = study_rows(options_, cells_);
  ASSERT_EQ(rows.size(), 4U);
  EXPECT_EQ(rows[1].label(), "first, experts 16");
  ASSERT_EQ(rows[1].values.size(), 2U);
  EXPECT_NEAR(rows[1].values[0].mean, 35.0, 1e-9);
  EXPECT_NEAR(rows[1].values[0].deviation, 10.0 / std::sqrt(2.0), 1e-9);
  EXPECT_EQ(rows[1].values[0].count, 2);
  EXPECT_NEAR(rows[3].values[1].mean, 75.0, 1e-9);
}

TEST_F(StudyResults, LeaveOutWhatFailed) {
  std::filesystem::remove(cells_[0].steps[0].json);
  std::filesystem::remove(cells_[2].steps[0].json);
  std::filesystem::remove(cells_[3].steps[0].json);
  const auto rows = study_rows(options_, cells_);
  EXPECT_NEAR(rows[0].values[0].mean, 20.0, 1e-9);
  EXPECT_FALSE(std::isfinite(rows[0].values[0].deviation));
  EXPECT_FALSE(std::isfinite(rows[1].values[0].mean));
  EXPECT_EQ(rows[1].values[0].count, 0);
}

TEST_F(StudyResults, AreWrittenAsTableAndPlot) {
  options_.plot_axis = "experts";
  const auto rows = study_rows(options_, cells_);
  write_study(options_, rows);
  const auto table = read_text_file(folder_.path() / "table.md");
  EXPECT_NE(table.find("| run | accuracy % | seconds |"), std::string::npos) << table;
  EXPECT_NE(table.find("| first, experts 8 | 15.0 \u00b1 7.1 |"), std::string::npos) << table;
  const auto plot = read_text_file(folder_.path() / "plot.svg");
  EXPECT_TRUE(plot.starts_with("<svg ")) << plot.substr(0, 40);
  EXPECT_NE(plot.find("http://www.w3.org/2000/svg"), std::string::npos);
  const auto json = Json::parse(read_text_file(folder_.path() / "results.json"));
  EXPECT_NEAR(json.at(0).at("measures").at("accuracy %").at("mean").get<double>(), 15.0, 1e-9);
}

}  // namespace
}  // namespace softmoe

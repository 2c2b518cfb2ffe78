#include "sweep/study_options.h"

namespace softmoe {

void describe(OptionTable& table, StudyOptions& options) {
  table.add("title", options.title, "what the study asks");
  table.add("command", options.command, "command of every cell", {.choices = kCellCommands});
  table.add("prepare", options.prepare,
            "commands that run once before all cells: \"name: command; key=value; ..\"");
  table.add("set", options.set,
            "settings of every cell: \"key=value\", where keys are names of flags");
  table.add("arms", options.arms, "what is compared: \"name: key=value; key=value\"");
  table.add("axes", options.axes, "values that every arm runs with: \"key=value,value,..\"");
  table.add("then", options.then,
            "commands that run after each cell: \"command; key=value; checkpoint={run}/last.h5\"");
  table.add(
      "measures", options.measures,
      "what the table shows: \"label: step:/json/pointer\", step 0 is the cell's command, 1, 2, "
      "... are those of --then");
  table.add("seeds", options.seeds, "runs of each combination", {.unit = "runs", .min = 1});
  table.add("equal-time", options.equal_time,
            "an arm whose training time all others have in a second round; empty: none");
  table.add("plot-axis", options.plot_axis, "axis on the plot's x; empty: bars");
  table.add("output", options.output, "folder of the study; started again, it resumes there",
            {.unit = "folder"});
  table.add("jobs", options.jobs, "processes at once", {.min = 1});
}

}  // namespace softmoe

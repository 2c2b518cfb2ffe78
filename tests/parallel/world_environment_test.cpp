#include "parallel/world_environment.h"

#include <gmock/gmock.h>

#include <map>

#include "core/error.h"

namespace softmoe::test {
namespace {

using testing::HasSubstr;

using Variables = std::map<std::string, std::string>;

WorldEnvironment read(const Variables& variables) {
  return read_world_environment([&](const std::string& name) {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional<std::string>(found->second);
  });
}

std::string error_of(const Variables& variables) {
  try {
    read(variables);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "";
}

const Variables kTorchrun{{"RANK", "5"},
                          {"WORLD_SIZE", "8"},
                          {"LOCAL_RANK", "1"},
                          {"LOCAL_WORLD_SIZE", "4"},
                          {"MASTER_ADDR", "gpu007"},
                          {"MASTER_PORT", "29500"}};

Variables with(Variables variables, const std::string& name, const std::string& value) {
  variables[name] = value;
  return variables;
}

Variables without(Variables variables, const std::string& name) {
  variables.erase(name);
  return variables;
}

TEST(WorldEnvironment, WithoutALauncherIsOneProcess) {
  EXPECT_EQ(read({}), WorldEnvironment{});
  EXPECT_TRUE(read({{"WORLD_SIZE", "1"}}).is_alone());
  // As in a script or shell of Slurm that is no step.
  EXPECT_TRUE(read({{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "8"}}).is_alone());
}

TEST(WorldEnvironment, ReadsTheVariablesOfTorchrun) {
  const WorldEnvironment expected{
      .rank = 5, .size = 8, .local_rank = 1, .local_size = 4, .address = "gpu007", .port = 29500};
  EXPECT_EQ(read(kTorchrun), expected);
  auto restarted = with(kTorchrun, "TORCHELASTIC_RESTART_COUNT", "2");
  restarted["TORCHELASTIC_USE_AGENT_STORE"] = "True";
  EXPECT_EQ(read(restarted).restarts, 2);
  EXPECT_TRUE(read(restarted).store_is_there);
}

TEST(WorldEnvironment, TorchrunCountsWhereAClusterStartedIt) {
  auto variables = with(kTorchrun, "TORCHELASTIC_RUN_ID", "none");
  variables.insert({{"SLURM_STEP_ID", "0"}, {"SLURM_PROCID", "1"}, {"SLURM_STEP_NUM_TASKS", "2"}});
  variables.insert({{"OMPI_COMM_WORLD_RANK", "1"}, {"OMPI_COMM_WORLD_SIZE", "2"}});
  EXPECT_EQ(read(variables).rank, 5);
}

TEST(WorldEnvironment, ReadsTheVariablesOfOpenMpi) {
  const Variables variables{{"OMPI_COMM_WORLD_RANK", "2"},
                            {"OMPI_COMM_WORLD_SIZE", "3"},
                            {"OMPI_COMM_WORLD_LOCAL_RANK", "2"},
                            {"OMPI_COMM_WORLD_LOCAL_SIZE", "3"},
                            {"PMIX_NAMESPACE", "1234"}};
  const auto world = read(variables);
  EXPECT_EQ(world.rank, 2);
  EXPECT_EQ(world.size, 3);
  EXPECT_EQ(world.address, "127.0.0.1");
  EXPECT_EQ(world.port, read(with(variables, "OMPI_COMM_WORLD_RANK", "1")).port);
  EXPECT_THAT(error_of(with(variables, "OMPI_COMM_WORLD_LOCAL_SIZE", "1")),
              HasSubstr("OMPI_COMM_WORLD_LOCAL_RANK"));
  auto two_machines = with(variables, "OMPI_COMM_WORLD_LOCAL_SIZE", "1");
  two_machines["OMPI_COMM_WORLD_LOCAL_RANK"] = "0";
  EXPECT_THAT(error_of(two_machines), HasSubstr("mpirun -x MASTER_ADDR=HOST"));
  EXPECT_EQ(read(with(two_machines, "MASTER_ADDR", "node1")).address, "node1");
}

TEST(WorldEnvironment, ReadsTheVariablesOfAStepOfSlurm) {
  const Variables variables{{"SLURM_STEP_ID", "3"},
                            {"SLURM_JOB_ID", "77"},
                            {"SLURM_PROCID", "6"},
                            {"SLURM_STEP_NUM_TASKS", "8"},
                            {"SLURM_LOCALID", "2"},
                            {"SLURM_STEP_NUM_NODES", "2"},
                            {"SLURM_STEP_NODELIST", "gpu[007-008]"}};
  const auto world = read(variables);
  EXPECT_EQ(world.rank, 6);
  EXPECT_EQ(world.size, 8);
  EXPECT_EQ(world.local_rank, 2);
  EXPECT_EQ(world.address, "gpu007");
  EXPECT_GE(world.port, 1024);
  EXPECT_NE(world.port, read(with(variables, "SLURM_STEP_ID", "4")).port);
  EXPECT_EQ(read(with(variables, "SLURM_STEP_NUM_NODES", "1")).address, "127.0.0.1");
  EXPECT_EQ(read(with(variables, "MASTER_PORT", "4000")).port, 4000);
}

TEST(WorldEnvironment, APartialOneIsAnError) {
  for (const auto* name : {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"}) {
    EXPECT_THAT(error_of(without(kTorchrun, name)), HasSubstr(name));
  }
  EXPECT_THAT(error_of({{"OMPI_COMM_WORLD_SIZE", "2"}}), HasSubstr("OMPI_COMM_WORLD_RANK"));
  EXPECT_THAT(error_of({{"SLURM_STEP_ID", "0"}}), HasSubstr("SLURM_PROCID"));
}

TEST(WorldEnvironment, AContradictoryOneIsAnError) {
  EXPECT_THAT(error_of(with(kTorchrun, "RANK", "8")),
              HasSubstr("less than the 8 of WORLD_SIZE, found 8"));
  EXPECT_THAT(error_of(with(kTorchrun, "LOCAL_RANK", "4")), HasSubstr("LOCAL_RANK"));
  EXPECT_THAT(error_of(with(kTorchrun, "WORLD_SIZE", "0")), HasSubstr("WORLD_SIZE"));
  EXPECT_THAT(error_of(with(kTorchrun, "MASTER_PORT", "http")), HasSubstr("'http'"));
  auto other = with(kTorchrun, "OMPI_COMM_WORLD_RANK", "1");
  other["OMPI_COMM_WORLD_SIZE"] = "8";
  EXPECT_THAT(error_of(other), HasSubstr("rank 1 of 8"));
}

TEST(WorldEnvironment, FindsTheFirstHostOfAListOfSlurm) {
  EXPECT_EQ(first_host("gpu[007-012,20]-a,login"), "gpu007-a");
  EXPECT_EQ(first_host("gpu[3,5]"), "gpu3");
  EXPECT_EQ(first_host("a,b"), "a");
  EXPECT_EQ(first_host("single"), "single");
  EXPECT_THROW(first_host(""), UsageError);
}

}  // namespace
}  // namespace softmoe::test

#include <gmock/gmock.h>

#include "runtime/machine.h"

int main(int argc, char** argv) {
  testing::InitGoogleMock(&argc, argv);
  softmoe::prepare_process();
  softmoe::set_compute_threads(0);
  return RUN_ALL_TESTS();
}

// A program of another project that uses softmoe as its users do: an installed copy, found by
// find_package. `consumer FOLDER` writes its files into FOLDER.

#include <exception>
#include <iostream>

#include "tasks.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: consumer FOLDER\n";
    return 2;
  }
  const consumer::Folder folder = argv[1];
  try {
    consumer::train_steps();
    consumer::train(folder);
    consumer::finetune(folder);
    consumer::run_few_shot(folder);
    consumer::predict(folder);
    consumer::export_onnx(folder);
    consumer::read_foreign_checkpoint(folder);
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
  std::cout << "all tasks are done\n";
}

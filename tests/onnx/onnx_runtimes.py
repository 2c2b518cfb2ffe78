"""Runs ONNX models in other runtimes and compares with what softmoe gave.

usage: onnx_runtimes.py FOLDER

FOLDER holds NAME.onnx, and NAME.npz with `images_<n>`, or `ids_<n>` and `lengths_<n>`, and
`<output>_<n>` for some numbers of images or texts. Prints one JSON object: for each name the complaint of onnx's checker (or null), and for
each runtime, output and number of images the largest difference over the largest value.
"""

import json
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime
import openvino

INPUTS = ("images", "ids", "lengths")

try:
    import cv2
except ImportError:
    cv2 = None


def complaint(path):
    try:
        onnx.checker.check_model(str(path), full_check=True)
    except Exception as error:  # whatever it is, the test shows it
        return str(error)
    return None


def onnxruntime_model(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        str(path), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda inputs: dict(zip(names, session.run(names, inputs)))


def openvino_model(core, path):
    exact = {
        "INFERENCE_PRECISION_HINT": "f32",
        "EXECUTION_MODE_HINT": "ACCURACY",
        "INFERENCE_NUM_THREADS": 1,
    }
    model = core.compile_model(str(path), "CPU", exact)
    return lambda inputs: model(inputs)  # has outputs by each of their names


def opencv_model(path):
    net = cv2.dnn.readNetFromONNX(str(path))
    names = [output.name for output in onnx.load(path, load_external_data=False).graph.output]

    def run(inputs):
        for name, values in inputs.items():
            net.setInput(values, name)
        return dict(zip(names, net.forward(names)))

    return run


def differences(run, arrays):
    errors = {}
    for key in arrays.files:
        output, count = key.rsplit("_", 1)
        if output in INPUTS:
            continue
        expected = arrays[key]
        inputs = {name: arrays[f"{name}_{count}"] for name in INPUTS
                  if f"{name}_{count}" in arrays.files}
        actual = np.asarray(run(inputs)[output])
        same = actual.shape == expected.shape and np.isfinite(actual).all()
        error = np.abs(actual - expected).max() / np.abs(expected).max() if same else float("inf")
        errors[key] = float(error)
    return errors


def main():
    folder = pathlib.Path(sys.argv[1])
    core = openvino.Core()
    runtimes = {
        "onnxruntime": onnxruntime_model,
        "openvino": lambda path: openvino_model(core, path),
    }
    if cv2 is not None:
        runtimes["opencv"] = opencv_model
    results = {}
    for path in sorted(folder.glob("*.onnx")):
        result = {"complaint": complaint(path)}
        arrays = np.load(path.with_suffix(".npz"))
        for name, load in runtimes.items():
            try:
                result[name] = differences(load(path), arrays)
            except Exception as error:
                result[name] = {"error": str(error)}
        results[path.stem] = result
    print(json.dumps(results))


if __name__ == "__main__":
    main()

"""Holds the peers to AVX2 on a processor that has more.

oneDNN, libtorch and MKL have environment variables for that. MLAS, the products of ONNX Runtime and
some of those of OpenVINO, has no switch: it gets a copy of the library in which its test of
AVX-512 at start does not succeed.
"""

import pathlib
import re
import shutil
import sysconfig

VARIABLES = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2",
             "MKL_ENABLE_INSTRUCTIONS": "AVX2"}
LIBRARIES = {"openvino": "libs/libopenvino_intel_cpu_plugin.so",
             "onnxruntime": "capi/onnxruntime_pybind11_state*.so"}
# test reg, AVX512F; je; and soon after a test of the registers that the system saves (0xe0).
AVX512_TEST = re.compile(
    rb"(\x41\xf7[\xc0-\xc7])\x00\x00\x01\x00((?:\x74.|\x0f\x84.{4}).{0,16}?\xe0)", re.DOTALL)


def held_copy(package, pattern, folder):
    """A copy of an installed package whose MLAS does not find AVX-512."""
    source = pathlib.Path(sysconfig.get_paths()["purelib"]) / package
    target = folder / package
    shutil.copytree(source, target, symlinks=True)
    for library in target.glob(pattern):
        code, tests = AVX512_TEST.subn(lambda test: test[1] + bytes(4) + test[2],
                                       library.read_bytes())
        if tests == 0:
            raise SystemExit(f"{library}: no test of AVX-512 found")
        library.write_bytes(code)


def held_environment(folder):
    """Environment variables with which the peers keep to AVX2."""
    for package, pattern in LIBRARIES.items():
        held_copy(package, pattern, folder)
    return {**VARIABLES, "PYTHONPATH": str(folder)}

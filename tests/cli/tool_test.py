# SPDX-License-Identifier: Apache-2.0
"""What the tests of the ponder tool share: running it, reading what it prints and writes, and the command line of the test programs.

Usage: test_NAME.py PONDER DATA [unittest arguments]. DATA may be missing: tests that need a model of it are skipped then.
"""
import json
import os
import struct
import subprocess
import sys
import tempfile
import unittest

STORIES = "models/stories260K.f32.gguf"
DEADLINE_S = 120
SKIPPED = 77  # SKIP_RETURN_CODE in tests/CMakeLists.txt


def take_command_line():
    """The tool and the data folder of the command line; unittest sees the rest."""
    if len(sys.argv) < 3:
        sys.exit(f"usage: {os.path.basename(sys.argv[0])} PONDER DATA [unittest arguments]")
    return os.path.abspath(sys.argv.pop(1)), sys.argv.pop(1)


PONDER, DATA = take_command_line()


def run(*arguments, stdin=b"", env=None):
    return subprocess.run([PONDER, *arguments], input=stdin, capture_output=True, timeout=DEADLINE_S, env=env)


def data(relative):
    path = os.path.join(DATA, relative)
    if not os.path.exists(path):
        raise unittest.SkipTest(f"skipped: {path} is missing")
    return path


def json_lines(output):
    return [json.loads(line) for line in output.decode("utf-8").splitlines()]


def read_npy(path):
    """Shape and flat values of a float32 .npy matrix."""
    with open(path, "rb") as file:
        content = file.read()
    assert content[:8] == b"\x93NUMPY\x01\x00", content[:8]
    size = struct.unpack("<H", content[8:10])[0]
    assert (10 + size) % 64 == 0
    header = eval(content[10:10 + size].decode("latin-1"), {})  # the header is a Python dict by definition
    assert header["descr"] == "<f4" and header["fortran_order"] is False
    rows, columns = header["shape"]
    return (rows, columns), struct.unpack(f"<{rows * columns}f", content[10 + size:])


class ToolTest(unittest.TestCase):
    def tiny_model(self, stored_type="F32", shape="tiny-qwen2", *options):
        """A model with random weights that thinks."""
        path = os.path.join(self.temporary_folder(), "tiny.gguf")
        self.assert_done(run("synth", shape, path, "--type", stored_type, "--seed", "7", *options))
        return path

    def assert_fails(self, result, code, *words):
        error = result.stderr.decode("utf-8", "replace")
        self.assertEqual(result.returncode, code, error)
        self.assertEqual(error.count("\n"), 1, error)
        self.assertTrue(error.startswith("ponder: ") and error.endswith("\n"), error)
        for word in words:
            self.assertIn(word, error)

    def assert_done(self, result):
        self.assertEqual(result.returncode, 0, result.stderr.decode("utf-8", "replace"))

    def temporary_folder(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        return folder.name


def main():
    """Runs the tests of the program. If some were skipped and none failed the program is "skipped", never "passed"."""
    result = unittest.main(exit=False).result
    if result.wasSuccessful() and result.skipped:
        print(f"{len(result.skipped)} tests skipped, the others passed", file=sys.stderr)
        sys.exit(SKIPPED)
    sys.exit(not result.wasSuccessful())

# SPDX-License-Identifier: Apache-2.0
# Runs the ponder tool for the comparison scripts: logits of a model file or folder, and conversions.
import pathlib
import subprocess

import numpy as np


class ToolError(Exception):
    """What a program said when it failed."""


def run(command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()
        raise ToolError(f"{pathlib.Path(command[0]).name} {command[1]} failed ({done.returncode}): {said[0][:200]}")
    return done.stdout


def ponder_logits(binary, model, tokens, scratch, extra=()):
    """[n_tokens, n_vocab] float32."""
    out = pathlib.Path(scratch) / "ponder-logits.npy"
    run([binary, "logits", "-m", model, "--tokens", ",".join(map(str, tokens)), "--out", out, *extra])
    return np.load(out)


def convert(binary, folder, out, stored):
    run([binary, "convert", folder, out, "--type", stored])
    return out


def quantize(binary, source, out, stored):
    run([binary, "quantize", source, out, stored])
    return out

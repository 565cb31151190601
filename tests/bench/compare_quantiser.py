# SPDX-License-Identifier: Apache-2.0
"""Compares `ponder quantize` with another quantiser of GGUF files on one model: tensors' types, errors of each type, time.

Usage: compare_quantiser.py PONDER COMPARE_WEIGHTS MODEL.gguf FOLDER [--types T,T] [--threads N] -- COMMAND...
COMMAND quantises for the other side; {in}, {out}, {type} and {threads} in it are replaced. One JSON line a mix: {"mix", "seconds",
"other_seconds", "same_types", "differences", "errors"}, where errors are compare_weights' lines, ours first. Exit code 1 if types differ
or an error is more than 1% above the other's. Files go to FOLDER and are removed.
"""
import argparse
import json
import os
import subprocess
import sys
import time

MIXES = "F32,F16,BF16,Q8_0,Q6_K,Q5_K_M,Q4_K_M,Q4_K_S,Q4_0,Q3_K_M,Q2_K,IQ4_NL,IQ4_XS"
LIMIT = 1.01


def timed(command):
    start = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.monotonic() - start


def types_of(ponder, path):
    output = subprocess.run([ponder, "inspect", path, "--json", "--tensors"], check=True, capture_output=True).stdout
    return {tensor["name"]: tensor["type"] for tensor in json.loads(output)["tensors"]}


def compare(options, mix):
    ours, other = (os.path.join(options.folder, name) for name in ("ours.gguf", "other.gguf"))
    values = {"in": options.model, "out": other, "type": mix, "threads": str(options.threads)}
    try:
        seconds = timed([options.ponder, "quantize", options.model, ours, mix, "--threads", str(options.threads)])
        other_seconds = timed([word.format(**values) for word in options.command])
        types, other_types = types_of(options.ponder, ours), types_of(options.ponder, other)
        differences = {name: [types.get(name), other_types.get(name)] for name in sorted(types.keys() | other_types.keys())
                       if types.get(name) != other_types.get(name)}
        lines = subprocess.run([options.compare_weights, options.model, ours, other], check=True, capture_output=True).stdout
        return {"mix": mix, "seconds": round(seconds, 2), "other_seconds": round(other_seconds, 2), "same_types": not differences,
                "differences": differences, "errors": [json.loads(line) for line in lines.splitlines()]}
    finally:
        for path in (ours, other):
            if os.path.exists(path):
                os.remove(path)


def main():
    parser = argparse.ArgumentParser()
    for name in ("ponder", "compare_weights", "model", "folder"):
        parser.add_argument(name)
    parser.add_argument("--types", default=MIXES)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    if "--" not in sys.argv:
        parser.error("the other quantiser's command comes after --")
    split = sys.argv.index("--")
    options = parser.parse_args(sys.argv[1:split])
    options.command = sys.argv[split + 1:]
    is_good = True
    for mix in options.types.split(","):
        result = compare(options, mix)
        is_good &= result["same_types"] and all(error["ratio"] <= LIMIT for error in result["errors"])
        print(json.dumps(result), flush=True)
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())

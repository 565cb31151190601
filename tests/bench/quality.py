# SPDX-License-Identifier: Apache-2.0
# How far rounded arithmetic moves a model's distributions over the next token, ours and a peer's, on one file and the same tokens of real text.
#
#   quality.py TOOL MODEL [--peer PEER] [--text FILE] [--tokens N] [--backend WORD]...
#
# Printed are the mean and largest KL divergence in nats from the reference backend, which computes in float32 from the weights as stored, and
# how often the first choice is the same. PEER is a program that knows `logits FILE OUT.f32 THREADS IDS`. Large models take long on the
# reference backend: 64 tokens are enough for one of 1.5 billion parameters.
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "golden"))
import hf_tool as tool


def tokenize(binary, model, text, n):
    done = subprocess.run([binary, "tokenize", "-m", model], input=json.dumps({"text": text}) + "\n", capture_output=True, text=True)
    if done.returncode != 0:
        raise tool.ToolError(done.stderr.strip())
    return json.loads(done.stdout.splitlines()[0])["ids"][:n]


def log_softmax(logits):
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def show(name, expected, got):
    p = log_softmax(expected)
    divergence = (np.exp(p) * (p - log_softmax(got))).sum(axis=1)
    same = (expected.argmax(axis=1) == got.argmax(axis=1)).mean()
    print(f"{name:24} mean KL {divergence.mean():.3e}  largest {divergence.max():.3e}  same first choice {100 * same:.2f} %", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("tool", type=pathlib.Path)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--peer", type=pathlib.Path)
    parser.add_argument("--text", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parents[2] / "README.md")
    parser.add_argument("--tokens", type=int, default=1000)
    parser.add_argument("--backend", action="append", help="of ours, to be compared; default: cpu")
    options = parser.parse_args()
    tokens = tokenize(options.tool, options.model, options.text.read_text(), options.tokens)
    print(f"{options.model.name}: {len(tokens)} tokens of {options.text.name}")
    with tempfile.TemporaryDirectory() as scratch:
        expected = tool.ponder_logits(options.tool, options.model, tokens, scratch, ["--backend", "reference"])
        for backend in options.backend or ["cpu"]:
            show(backend, expected, tool.ponder_logits(options.tool, options.model, tokens, scratch, ["--backend", backend]))
        if options.peer:
            out = pathlib.Path(scratch) / "peer.f32"
            tool.run([options.peer.resolve(), "logits", options.model, out, 2, ",".join(map(str, tokens))])
            show("peer", expected, np.fromfile(out, dtype=np.float32).reshape(len(tokens), -1))


if __name__ == "__main__":
    try:
        main()
    except tool.ToolError as error:
        sys.exit(f"quality.py: {error}")

# SPDX-License-Identifier: Apache-2.0
# Logits of ponder next to those of a peer (llama.cpp behind a script) on the same files, and each one's quantised files in the other.
#
#   compare_peer.py TOOL PEER [--only NAME | --shapes tiny-qwen2,... | --files F32.gguf,...] [--types Q8_0,...] [--tokenizer]
#
# PEER is a program that knows `logits FILE OUT.f32 THREADS IDS`, `quantize IN OUT TYPE` and `run CMD...` (in the current folder).
# Models: the tiny Hugging Face folders, converted by TOOL to F32; or what TOOL synthesises; or F32 files at hand. Judged against 2e-4 of the
# largest logit: F32 files, and quantised files against the peer's logits of the same weights, which the peer itself decodes to F32 first.
# Only shown: the peer's logits of the quantised file as it is, since it rounds activations too.
import argparse
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

import hf_fixture as fixture
import hf_tool as tool

LIMIT = 2e-4
# Models that llama.cpp 0.7.0 takes otherwise than transformers does; shown and not judged.
NOT_JUDGED = {"qwen3-ramp": "rope.scaling.yarn_beta_fast and _slow are read in deepseek2 files only"}


class Peer:
    def __init__(self, program, scratch):
        self.program, self.scratch = program.resolve(), scratch

    def logits(self, model, tokens):
        out = self.scratch / "peer.f32"
        tool.run([self.program, "logits", model, out, 2, ",".join(map(str, tokens))])
        return np.fromfile(out, dtype=np.float32).reshape(len(tokens), -1)

    def quantize(self, source, out, stored):
        tool.run([self.program, "quantize", source, out, stored])
        return out

    def decode(self, source, out):
        """The file's weights as F32, decoded by the peer."""
        command = [self.program, "run", "llama-quantize", "--allow-requantize", source.name, out.name, "F32", "2"]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd=self.scratch)
        if done.returncode != 0:
            raise tool.ToolError(f"the peer cannot decode {source.name}: {(done.stderr or done.stdout).strip().splitlines()[-1:]}")
        return out


class Comparison:
    def __init__(self, options, scratch):
        self.binary, self.scratch = options.tool, scratch
        self.peer = Peer(options.peer, scratch)
        self.n_failures = self.n_compared = 0
        self.is_judging = True

    def ours(self, model, tokens):
        return tool.ponder_logits(self.binary, model, tokens, self.scratch)

    def show(self, what, ours, theirs, is_judged=True):
        if ours.shape != theirs.shape:
            raise tool.ToolError(f"{what}: ours are {ours.shape}, the peer's {theirs.shape}")
        worst, largest = np.abs(ours - theirs).max(), np.abs(theirs).max()
        is_judged = is_judged and self.is_judging
        is_bad = is_judged and not worst <= LIMIT * largest
        same = int((ours.argmax(-1) == theirs.argmax(-1)).sum())
        print(f"  {what}: largest difference {worst:.3g} of {largest:.3g}, arg-max {same}/{len(ours)}{' TOO LARGE' if is_bad else ''}")
        self.n_failures += is_bad
        self.n_compared += is_judged

    def attempt(self, what, action):
        try:
            action()
        except tool.ToolError as error:
            self.n_failures += 1
            print(f"  {what}: FAILED: {error}")

    def compare_file(self, what, file, tokens, is_quantised):
        ours = self.ours(file, tokens)
        same = self.peer.decode(file, self.scratch / "decoded.gguf") if is_quantised else file
        self.show(what, ours, self.peer.logits(same, tokens))
        if not is_quantised:
            return
        try:  # llama.cpp 0.7.0 aborts on some tiny quantised deepseek2 files, its own ones too
            self.show(f"{what}, the peer's own arithmetic", ours, self.peer.logits(file, tokens), is_judged=False)
        except tool.ToolError as error:
            print(f"  {what}, the peer's own arithmetic: nothing to show: {error}")

    def compare_quantised(self, base, tokens, types):
        for stored in types:
            out = self.scratch / f"{base.stem}-{stored}.gguf"
            for maker, make in (("peer", self.peer.quantize), ("ponder", lambda *a: tool.quantize(self.binary, *a))):
                what = f"{stored} made by {maker}"
                self.attempt(what, lambda: self.compare_file(what, make(base, out, stored), tokens, True))
                out.unlink(missing_ok=True)

    def compare_folder(self, model, tokens, types, has_tokenizer):
        name = model["name"]
        self.is_judging = name not in NOT_JUDGED
        print(name if self.is_judging else f"{name}, not judged: {NOT_JUDGED[name]}")
        folder, base = self.scratch / name, self.scratch / f"{name}.gguf"
        fixture.write_folder(folder, model["config"], fixture.make_model(model)[0], model["n_files"], has_tokenizer)
        try:
            tool.convert(self.binary, folder, base, "F32")
        except tool.ToolError as error:
            self.n_failures += 1
            print(f"  conversion: FAILED: {error}")
            return
        self.attempt("converted to F32", lambda: self.compare_file("converted to F32", base, tokens, False))
        self.attempt("folder", lambda: self.show("folder, the peer on its conversion", self.ours(folder, tokens), self.peer.logits(base, tokens)))
        self.compare_quantised(base, tokens, types)

    def compare_shape(self, shape, tokens, types):
        base = self.scratch / f"{shape}.gguf"
        tool.run([self.binary, "synth", shape, base, "--type", "F32", "--seed", 1])
        self.compare_base(base, tokens, types)

    def compare_base(self, base, tokens, types):
        print(base.stem)
        self.attempt("F32", lambda: self.compare_file("F32", base, tokens, False))
        self.compare_quantised(base, tokens, types)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("tool", type=pathlib.Path)
    parser.add_argument("peer", type=pathlib.Path)
    parser.add_argument("--only")
    parser.add_argument("--shapes", default="")
    parser.add_argument("--files", default="")
    parser.add_argument("--types", default="BF16,Q8_0,Q4_0,Q4_K_M")
    parser.add_argument("--tokenizer", action="store_true", help="put a tokenizer.json into the folders")
    options = parser.parse_args()
    models, tokens = fixture.read_models()
    types = [t for t in options.types.split(",") if t]
    with tempfile.TemporaryDirectory() as scratch:
        comparison = Comparison(options, pathlib.Path(scratch))
        for shape in filter(None, options.shapes.split(",")):
            comparison.attempt(shape, lambda: comparison.compare_shape(shape, tokens, types))
        for file in filter(None, options.files.split(",")):
            comparison.compare_base(pathlib.Path(file), tokens, types)
        for model in models:
            if not (options.shapes or options.files) and options.only in (None, model["name"]):
                comparison.compare_folder(model, tokens, types, options.tokenizer)
    print(f"{comparison.n_compared} comparisons, {comparison.n_failures} failures")
    return 1 if comparison.n_failures or not comparison.n_compared else 0


sys.exit(main())

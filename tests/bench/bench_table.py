# SPDX-License-Identifier: Apache-2.0
# Measures models of real shapes, beside a peer where there is one, and writes results.json, table.md and, where matplotlib is installed, speed.png.
#
#   bench_table.py TOOL FOLDER [--model NAME]... [--peer PROGRAM] [--rounds N] [--threads N] [--long] [--keep]
#
# Models of real shapes are synthesised into FOLDER, one at a time, and removed after their turn unless --keep is given. PEER is a program that
# knows `bench FILE PROMPT GENERATE REPS THREADS` and prints "pp SPEED" and "tg SPEED"; ponder and it take turns, and medians of the rounds'
# ratios are kept, because a ratio within a round survives a noisy machine. --long adds prompts of 4,096 tokens and decoding at depth, for which
# PEER should know `run llama-bench ...` in a folder of the model's; one that does not is left out there.
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys

MODELS = {
    "r1-distill-qwen-1.5b-Q4_K_M": ("r1-distill-qwen-1.5b", ["--type", "Q4_K_M"], 512),
    "r1-distill-qwen-1.5b-Q8_0": ("r1-distill-qwen-1.5b", ["--type", "Q8_0"], 512),
    "r1-distill-qwen-1.5b-Q4_0": ("r1-distill-qwen-1.5b", ["--type", "Q4_0"], 512),
    "r1-distill-qwen-7b-Q4_K_M": ("r1-distill-qwen-7b", ["--type", "Q4_K_M"], 512),
    "deepseek-r1-4-layers-32-experts-Q4_K_M": ("deepseek-r1", ["--layers", "4", "--experts", "32", "--type", "Q4_K_M"], 512),
    "tiny": ("tiny-qwen2", ["--type", "Q8_0"], 64),
}
DEFAULT = [name for name in MODELS if name != "tiny"]


class BenchError(Exception):
    pass


def run(command):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode != 0:
        raise BenchError(f"{' '.join(str(c) for c in command[:2])}: {(done.stderr or done.stdout).strip().splitlines()[-1:]}")
    return done.stdout


class Bench:
    def __init__(self, options):
        self.options = options

    def ours(self, model, prompt, generate, *extra):
        return json.loads(run([self.options.tool, "bench", "-m", model, "--prompt", prompt, "--generate", generate, "--reps", 1, "--threads",
                               self.options.threads, "--json", *extra]))

    def peer(self, model, prompt, generate):
        lines = run([self.options.peer.resolve(), "bench", model, prompt, generate, 1, self.options.threads]).split("\n")
        speeds = dict(line.split() for line in lines if line)
        return {"prefill_tps": float(speeds["pp"]), "decode_tps": float(speeds["tg"])}

    def peer_at(self, model, depth):
        """The peer's decoding speed behind `depth` tokens; None if its program has no such measurement."""
        command = [self.options.peer.resolve(), "run", "llama-bench", "-m", model.name, "-p", 0, "-n", 32, "-d", depth, "-r", 1, "-t",
                   self.options.threads, "--device", "none", "-o", "json"]
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True, cwd=model.parent)
        return json.loads(done.stdout)[0]["avg_ts"] if done.returncode == 0 else None

    def at_depth(self, model, depth):
        speed = {"ours": self.ours(model, 16, 32, "--depth", depth)["decode_tps"]}
        if self.options.peer:
            speed["peer"] = self.peer_at(model, depth)
        return speed

    def rounds(self, model, prompt, generate):
        """Medians of ours, of the peer's, and of the ratios of each round."""
        ours, theirs = [], []
        for _ in range(self.options.rounds):
            ours.append(self.ours(model, prompt, generate))
            if self.options.peer:
                theirs.append(self.peer(model, prompt, generate))
        row = {"prompt": prompt}
        for key in ("prefill_tps", "decode_tps"):
            row[key] = statistics.median(r[key] for r in ours)
            if theirs:
                row["peer_" + key] = statistics.median(r[key] for r in theirs)
                row["ratio_" + key] = statistics.median(o[key] / t[key] for o, t in zip(ours, theirs))
        row["bandwidth_share"] = statistics.median(r["decode_tps"] * r["bytes_per_token"] / r["read_bandwidth"] for r in ours)
        row["bound_tps"] = statistics.median(r["read_bandwidth"] / r["bytes_per_token"] for r in ours)
        return row

    def measure(self, model, prompt):
        row = self.rounds(model, prompt, 32)
        row["sequences"] = {n: self.ours(model, 16, 32, "--sequences", n)["decode_tps"] for n in (1, 4, 8)}
        if self.options.long:
            row["depth"] = {depth: self.at_depth(model, depth) for depth in (0, 4096, 16384)}
            row["long_prompt"] = self.rounds(model, 4096, 1)
        return row


def table(results):
    def ratio(row, key):
        return f"{row['ratio_' + key]:.2f} ({row[key]:.1f} / {row['peer_' + key]:.1f})" if "ratio_" + key in row else f"{row[key]:.1f} t/s"

    lines = ["| model | decode | share of read bandwidth | prefill | 4 and 8 sequences |", "| --- | --- | --- | --- | --- |"]
    for name, row in results.items():
        together = [row["sequences"][n] / row["sequences"][1] for n in (4, 8)]
        lines.append(f"| {name} | {ratio(row, 'decode_tps')} | {row['bandwidth_share']:.2f} | {ratio(row, 'prefill_tps')} ({row['prompt']} tokens) "
                     f"| {together[0]:.2f} x, {together[1]:.2f} x |")
        for depth, speed in row.get("depth", {}).items():
            beside = speed.get("peer")
            lines.append(f"| at depth {depth} | {speed['ours'] / beside:.2f} ({speed['ours']:.1f} / {beside:.1f}) | | | |" if beside else
                         f"| at depth {depth} | {speed['ours']:.1f} t/s | | | |")
        if "long_prompt" in row:
            lines.append(f"| prompt of 4,096 | | | {ratio(row['long_prompt'], 'prefill_tps')} | |")
    return "\n".join(lines) + "\n"


def plot(results, path):
    try:
        import matplotlib
    except ImportError:
        print("no plot: matplotlib is not installed")
        return
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(12, 0.8 + 0.7 * len(results)), sharey=True)
    for axis, key, title in zip(axes, ("decode_tps", "prefill_tps"), ("decode, tokens/s", "prompt, tokens/s")):
        for i, row in enumerate(results.values()):
            axis.barh(i - 0.2, row[key], 0.36, color="tab:blue", label="ponder" if i == 0 else None)
            if "peer_" + key in row:
                axis.barh(i + 0.2, row["peer_" + key], 0.36, color="tab:gray", label="peer" if i == 0 else None)
            if key == "decode_tps":
                axis.plot([row["bound_tps"]] * 2, [i - 0.4, i + 0.4], color="tab:red", label="read bandwidth" if i == 0 else None)
        axis.set_title(title)
    axes[0].set_yticks(range(len(results)), list(results))
    axes[0].invert_yaxis()
    axes[0].legend()
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("tool", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--model", action="append", choices=MODELS)
    parser.add_argument("--peer", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    results = {}
    for name in options.model or DEFAULT:
        shape, how, prompt = MODELS[name]
        model = options.folder / f"{name}.gguf"
        if not model.exists():
            print(f"making {model}", flush=True)
            run([options.tool, "synth", shape, model, *how])
        results[name] = Bench(options).measure(model, prompt)
        (options.folder / "results.json").write_text(json.dumps(results, indent=1) + "\n")
        (options.folder / "table.md").write_text(table(results))
        print(table({name: results[name]}).splitlines()[2], flush=True)
        if not options.keep:
            model.unlink()
    plot(results, options.folder / "speed.png")
    print(f"\n{table(results)}\nwrote {options.folder}/table.md and results.json")


if __name__ == "__main__":
    try:
        main()
    except (BenchError, OSError) as error:
        sys.exit(f"bench_table.py: {error}")

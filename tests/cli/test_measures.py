# SPDX-License-Identifier: Apache-2.0
"""Tests of the ponder tool's measures on models with random weights: divergence from saved logits, memory caps, models with experts."""
import json
import math
import os
import random
import struct
import subprocess
import sys

import tool_test
from tool_test import ToolTest, json_lines, read_npy, run


def log_softmax(row):
    largest = max(row)
    norm = largest + math.log(sum(math.exp(value - largest) for value in row))
    return [value - norm for value in row]


def divergence(base, other):
    return sum(math.exp(p) * (p - q) for p, q in zip(log_softmax(base), log_softmax(other)))


def write_npy(path, rows, columns, values):
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {columns}), }}"
    header += " " * (-(11 + len(header)) % 64) + "\n"
    with open(path, "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + struct.pack(f"<{len(values)}f", *values))


class Divergence(ToolTest):
    def setUp(self):
        self.folder = self.temporary_folder()
        self.text = os.path.join(self.folder, "text.txt")
        words = random.Random(5)
        with open(self.text, "w") as file:
            file.write(" ".join(words.choice("the of step one two number first answer then would".split()) for _ in range(220)))

    def perplexity(self, model, *options):
        return run("perplexity", "-m", model, "-f", self.text, "--context", "64", *options)

    def figures(self, model, *options):
        result = self.perplexity(model, "--json", *options)
        self.assert_done(result)
        return json_lines(result.stdout)[0]

    def test_figures_are_those_of_the_two_files(self):
        exact, rounded = self.tiny_model("F32"), self.tiny_model("Q4_0")
        base, other = os.path.join(self.folder, "base.npy"), os.path.join(self.folder, "other.npy")
        saved = self.figures(exact, "--save-logits", base)
        self.assertNotIn("mean_kld", saved)
        own = self.figures(rounded, "--save-logits", other)
        compared = self.figures(rounded, "--kld", base)
        (rows, columns), p = read_npy(base)
        q = read_npy(other)[1]
        self.assertEqual(rows, compared["tokens"])
        pairs = [(p[i * columns:(i + 1) * columns], q[i * columns:(i + 1) * columns]) for i in range(rows)]
        expected = sorted(divergence(a, b) for a, b in pairs)
        self.assertGreater(expected[0], 0)
        self.assertAlmostEqual(compared["mean_kld"] / (sum(expected) / rows), 1, places=6)
        self.assertAlmostEqual(compared["median_kld"] / expected[math.ceil(rows / 2) - 1], 1, places=6)
        self.assertAlmostEqual(compared["p99_kld"] / expected[math.ceil(rows * 0.99) - 1], 1, places=6)
        self.assertAlmostEqual(compared["max_kld"] / expected[-1], 1, places=6)
        same = sum(a.index(max(a)) == b.index(max(b)) for a, b in pairs)
        self.assertAlmostEqual(compared["same_top"], same / rows, places=12)
        self.assertAlmostEqual(compared["base_perplexity"] / saved["perplexity"], 1, places=9)
        self.assertAlmostEqual(compared["perplexity"] / own["perplexity"], 1, places=9)
        text = self.perplexity(rounded, "--kld", base)
        self.assert_done(text)
        for line in (rb"perplexity of the saved logits: \d", rb"mean KL divergence: \S+ \(median \S+, 99% of tokens up to \S+, largest \S+\)",
                     rb"same most likely token: \d+\.\d\d%"):
            self.assertRegex(text.stdout, line)

    def test_wrong_files_are_refused(self):
        model, base = self.tiny_model(), os.path.join(self.folder, "base.npy")
        self.figures(model, "--save-logits", base)
        (rows, columns), values = read_npy(base)
        self.assert_fails(self.perplexity(model, "--kld", "/nonexistent/base.npy"), 1, "/nonexistent/base.npy")
        self.assert_fails(self.perplexity(model, "--kld", self.text), 1, "not a .npy file")
        write_npy(base, rows, columns - 1, values[:rows * (columns - 1)])
        self.assert_fails(self.perplexity(model, "--kld", base), 1, f"({rows}, {columns - 1})", f"({rows}, {columns})")
        write_npy(base, rows - 1, columns, values[:-columns])
        self.assert_fails(self.perplexity(model, "--kld", base), 1, f"({rows - 1}, {columns})")
        write_npy(base, rows, columns, values[:-1])
        self.assert_fails(self.perplexity(model, "--kld", base), 1, "its size does not match the shape")
        for bad in (math.nan, math.inf, -math.inf):
            write_npy(base, rows, columns, [*values[:columns], bad, *values[columns + 1:]])
            self.assert_fails(self.perplexity(model, "--kld", base), 1, "row 1 holds a value that is not finite")
        self.assertEqual(sorted(os.listdir(self.folder)), ["base.npy", "text.txt"])


class MemoryCap(ToolTest):
    def test_a_cap_is_kept_by_every_command_that_opens_a_model(self):
        model, text = self.tiny_model(), os.path.join(self.temporary_folder(), "text.txt")
        with open(text, "w") as file:
            file.write("the number of the answer " * 40)
        commands = [("run", "-p", "a", "--max-tokens", "2"), ("chat",), ("logits", "--tokens", "1,2", "--out", "/dev/null"),
                    ("perplexity", "-f", text), ("bench", "--prompt", "4", "--generate", "2", "--reps", "1")]
        for command in commands:
            with self.subTest(command[0]):
                self.assert_fails(run(*command, "-m", model, "--memory-cap", "100K"), 1, f"ponder: {command[0]}: ", "cap")
                self.assert_done(run(*command, "-m", model, "--memory-cap", "2GiB"))


class Streaming(ToolTest):
    def test_a_model_larger_than_the_cap_answers_the_same_and_bench_says_what_it_read(self):
        # The process itself counts some 50 MB, so the model has to be larger than the tiny ones.
        model = self.tiny_model("F32", "tiny-deepseek-v3", "--layers", "7", "--experts", "256")
        capped = ("--memory-cap", "96MiB", "--threads", "1")
        answer = ("run", "-m", model, "--raw", "-p", "a", "--max-tokens", "12", "--temperature", "0")
        whole, streamed = run(*answer), run(*answer, *capped)
        self.assert_done(whole)
        self.assert_done(streamed)
        self.assertGreater(len(whole.stdout), 12)
        self.assertEqual(whole.stdout, streamed.stdout)
        bench = ("bench", "-m", model, "--prompt", "8", "--generate", "4", "--reps", "2")
        self.assertNotIn("streaming", json_lines(run(*bench, "--json").stdout)[0])
        self.assertNotIn(b"\nstreaming", run(*bench).stdout)
        result = run(*bench, *capped, "--json")
        self.assert_done(result)
        streaming = json_lines(result.stdout)[0]["streaming"]
        self.assertLess(0, streaming["held_bytes"])
        self.assertLessEqual(streaming["held_bytes"], streaming["capacity_bytes"])
        self.assertLess(streaming["capacity_bytes"], 96 << 20)
        for part in (streaming["prefill"], streaming["decode"]):
            self.assertTrue(0 <= part["hit_rate"] <= 1, part)
            self.assertGreater(part["file_bytes_per_token"], 0)
            self.assertTrue(part["guesses"] >= 0 and part["guesses_used"] >= 0, part)
        self.assertRegex(run(*bench, *capped).stdout, rb"\nstreaming +\S+ \S+ of experts kept, room for .*\n  in prefill .*\n  in decode +\d")


class Experts(ToolTest):
    def inspect(self, model, *options):
        result = run("inspect", model, *options)
        self.assert_done(result)
        return result.stdout

    def test_inspect_shows_attention_and_experts(self):
        model = self.tiny_model("F32", "tiny-deepseek-v3")
        document = json.loads(self.inspect(model, "--json"))
        self.assertEqual(document["latent_attention"], {"heads": 4, "q_lora_rank": 64, "kv_lora_rank": 96, "rope_dimensions": 32,
                                                        "key_length": 64, "value_length": 32, "layout": "split"})
        self.assertEqual(document["experts"], {"count": 16, "used": 4, "shared": 1, "feed_forward_length": 64, "leading_dense_layers": 1,
                                               "groups": 4, "groups_used": 2, "gating": "sigmoid", "has_selection_bias": True,
                                               "weights_norm": True, "weights_scale": 2.5})
        self.assertEqual((document["prediction_layers"], document["remarks"]), (None, []))
        table = self.inspect(model)
        self.assertIn(b"\nattention     latent, 4 heads; cache of 96 latent + 32 rotated numbers a token", table)
        self.assertIn(b"\nexperts       4 of 16 routed in 2 of 4 groups, 1 shared", table)
        self.assertNotIn(b"\nremark", table)
        dense = json.loads(self.inspect(self.tiny_model(), "--json"))
        self.assertEqual((dense["latent_attention"], dense["experts"], dense["remarks"]), (None, None, []))
        self.assertNotIn(b"\nexperts", self.inspect(self.tiny_model()))

    def test_inspect_remarks_on_a_file_without_group_keys(self):
        model = self.tiny_model("Q8_0", "tiny-deepseek-v3", "--experts", "256", "--layers", "2")
        with open(model, "rb") as file:
            content = file.read()
        for key in (b"deepseek2.expert_group_count", b"deepseek2.expert_group_used_count"):
            self.assertEqual(content.count(key), 1)
            content = content.replace(key, key.upper())
        with open(model, "wb") as file:
            file.write(content)
        document = json.loads(self.inspect(model, "--json"))
        self.assertEqual(document["experts"]["groups"], None)
        self.assertEqual(len(document["remarks"]), 1)
        self.assertIn(b"\nremark        routing: the file has no deepseek2.expert_group_count; the published 8 groups, of which 4",
                      self.inspect(model))

    def test_synth_scales_what_depends_on_the_experts(self):
        experts = json.loads(self.inspect(self.tiny_model("F32", "tiny-deepseek-v2", "--experts", "2"), "--json"))["experts"]
        self.assertEqual((experts["count"], experts["used"], experts["gating"]), (2, 2, "softmax"))
        self.assert_fails(run("synth", "tiny-qwen2", "/dev/null", "--experts", "8"), 1, "has no experts")


class BenchTable(ToolTest):
    def test_table_of_a_tiny_model(self):
        folder = self.temporary_folder()
        peer = os.path.join(folder, "peer")
        with open(peer, "w") as file:
            file.write("#!/bin/sh\necho pp 10\necho tg 5\n")
        os.chmod(peer, 0o755)
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "bench", "bench_table.py")
        command = [sys.executable, script, tool_test.PONDER, folder, "--model", "tiny", "--rounds", "1", "--peer", peer]
        done = subprocess.run(command, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(os.path.join(folder, "results.json")) as file:
            row = json.load(file)["tiny"]
        self.assertAlmostEqual(row["ratio_decode_tps"], row["decode_tps"] / 5)
        self.assertAlmostEqual(row["ratio_prefill_tps"], row["prefill_tps"] / 10)
        self.assertGreater(row["bandwidth_share"], 0)
        with open(os.path.join(folder, "table.md")) as file:
            self.assertIn(f"| tiny | {row['decode_tps'] / 5:.2f} (", file.read())
        self.assertFalse(os.path.exists(os.path.join(folder, "tiny.gguf")))

    def test_a_peer_that_fails(self):
        folder = self.temporary_folder()
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "bench", "bench_table.py")
        done = subprocess.run([sys.executable, script, tool_test.PONDER, folder, "--model", "tiny", "--peer", "/bin/false"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn("/bin/false bench", done.stderr)


if __name__ == "__main__":
    tool_test.main()

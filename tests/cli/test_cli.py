# SPDX-License-Identifier: Apache-2.0
"""Tests of the ponder tool from outside: exit codes, one-line failures, JSON shapes. Usage: see tool_test.py."""
import json
import math
import os
import select
import signal
import subprocess
import time

import tool_test
from tool_test import DEADLINE_S, PONDER, STORIES, ToolTest, data, json_lines, read_npy, run

COMMANDS = ["run", "chat", "tokenize", "render", "logits", "perplexity", "bench", "synth", "inspect", "plan", "convert", "quantize"]


class DeviceCache(ToolTest):
    def test_a_device_without_a_cache_writes_none(self):
        path = os.path.join(self.temporary_folder(), "cache")
        self.assert_done(run("bench", "--backend", "reference", "--prompt", "2", "--generate", "1", "--reps", "1", "--device-cache", path))
        self.assertFalse(os.path.exists(path))


class Usage(ToolTest):
    def test_help_and_version(self):
        overview = run("--help")
        self.assert_done(overview)
        for command in COMMANDS:
            self.assertIn(command.encode(), overview.stdout)
            detail = run(command, "--help")
            self.assert_done(detail)
            self.assertIn(b"Usage: ponder " + command.encode(), detail.stdout)
        version = run("--version")
        self.assert_done(version)
        self.assertRegex(version.stdout, rb"^ponder \d+\.\d+\.\d+\n$")

    def test_bad_usage_is_one_line_and_exit_code_2(self):
        self.assert_fails(run(), 2, "ponder --help")
        self.assert_fails(run("frobnicate"), 2, "frobnicate", "ponder --help")
        self.assert_fails(run("--threads", "2", "run"), 2, "the command comes first")
        for command in COMMANDS:
            self.assert_fails(run(command, "--bogus"), 2, f"ponder: {command}: ", f"ponder {command} --help")

    def test_values_are_checked(self):
        bad = [("run", "--backend", "gpu"), ("run", "--kv", "q4_0"), ("run", "--context", "0"), ("run", "--context", "-5"),
               ("run", "--context", "99999999999"), ("run", "--threads", "0"), ("run", "--threads", "two"), ("run", "--threads", "1.5"),
               ("run", "--seed", "-1"), ("run", "--seed", "18446744073709551616"), ("run", "--device", "-1"), ("run", "--temperature", "nan"),
               ("run", "--temperature", "-1"), ("run", "--top-p", "0"), ("run", "--top-p", "1.5"), ("run", "--max-tokens", "0"),
               ("run", "--think-budget", "-1"), ("run", "--stop", ""), ("run", "-m", ""), ("run", "-m"), ("run", "-p", "a", "-p", "b"),
               ("run", "-p", "a", "b"), ("run", "--raw", "--system", "s", "-p", "a"), ("logits", "--out", "x.npy"),
               ("logits", "--tokens", "1,,2", "--out", "x.npy"), ("logits", "--tokens", "1,-2", "--out", "x.npy"),
               ("logits", "--tokens", "1", "--out", "x.npy", "--chunk", "0"), ("perplexity",), ("perplexity", "-f", "t", "--context", "3"),
               ("perplexity", "-f", "t", "--kld", "a", "--save-logits", "b"), ("tokenize", "-m", "a", "--tokenizer", "b"),
               ("render", "-m", "a", "--template", "b"), ("bench", "--reps", "0"), ("bench", "--prompt", "-1"), ("synth", "shape"),
               ("inspect",), ("plan", "--memory-cap", "lots"), ("plan", "--memory-cap", "1QiB"), ("plan", "--memory-cap", "-1"),
               ("run", "--memory-cap", "0"), ("bench", "--memory-cap", ""), ("synth", "shape", "x.gguf", "--experts", "1")]
        for arguments in bad:
            with self.subTest(arguments):
                self.assert_fails(run(*arguments), 2, f"ponder: {arguments[0]}: ")

    def test_missing_files(self):
        for command in [("run", "-p", "a"), ("chat",), ("tokenize",), ("render",), ("logits", "--tokens", "1", "--out", "/dev/null"),
                        ("bench",), ("plan",)]:
            with self.subTest(command):
                self.assert_fails(run(*command, "-m", "/nonexistent/model.gguf"), 1, f"ponder: {command[0]}: ", "/nonexistent/model.gguf")
        self.assert_fails(run("inspect", "/nonexistent/model.gguf"), 1, "ponder: inspect: ", "/nonexistent/model.gguf")
        self.assert_fails(run("perplexity", "-f", "/nonexistent/text"), 1, "ponder: perplexity: ", "/nonexistent/text")

    def test_hostile_names_stay_on_one_line(self):
        self.assert_fails(run("inspect", "/nonexistent/a\nb\x1b[31m.gguf"), 1, "a b?[31m")

    def test_full_disk(self):
        if not os.path.exists("/dev/full"):
            self.skipTest("skipped: no /dev/full")
        with open("/dev/full", "wb") as full:
            result = subprocess.run([PONDER, "--help"], stdout=full, stderr=subprocess.PIPE, timeout=DEADLINE_S)
        self.assert_fails(result, 1, "No space left")

    def test_closed_standard_streams(self):
        # What the tool opens must not take their numbers: a read would wait for its own pipe, an answer would be written into it.
        template = os.path.join(self.temporary_folder(), "chat.jinja")
        with open(template, "w") as file:
            file.write("text")
        for closed in ("<&-", ">&-", "<&- >&-"):
            with self.subTest(closed):
                line = f'exec "{PONDER}" render --template "{template}" {closed}'
                result = subprocess.run(["sh", "-c", line], input=b'{"context":{}}\n', capture_output=True, timeout=DEADLINE_S)
                self.assert_fails(result, 1, "Bad file descriptor")


class BadFiles(ToolTest):
    def test_broken_models(self):
        folder = self.temporary_folder()
        cases = {"empty.gguf": b"", "magic.gguf": b"GGUF", "noise.gguf": bytes(range(256)) * 16}
        with open(self.tiny_model(), "rb") as file:
            whole = file.read()
        cases.update({f"cut-{size}.gguf": whole[:size] for size in (24, 1000, len(whole) // 2, len(whole) - 1)})
        for name, content in cases.items():
            path = os.path.join(folder, name)
            with open(path, "wb") as file:
                file.write(content)
            with self.subTest(name):
                self.assert_fails(run("run", "-m", path, "-p", "a"), 1, "ponder: run: ")
                self.assert_fails(run("inspect", path), 1, "ponder: inspect: ")
                self.assert_fails(run("plan", "-m", path), 1, "ponder: plan: ")


class Text(ToolTest):
    def test_tokenize_lines(self):
        model = data(STORIES)
        lines = [{"text": "Once upon a\u2028\u0085\x0b time"}, {"text": ""}, {"text": "caf\u00e9 \u4f60\u597d \U0001f600"}, {"words": 1}, {"text": 3}]
        stdin = "\n".join(json.dumps(line) for line in lines) + "\nnot json\n\n" + "[" * 100000 + "\r\n" + json.dumps({str(i): i for i in range(30000)}) + "\n" + '{"text":"last"}'
        result = run("tokenize", "-m", model, stdin=stdin.encode())
        self.assert_done(result)
        answers = json_lines(result.stdout)
        self.assertEqual(len(answers), 9)
        for i in (0, 1, 2, 8):
            self.assertTrue(all(isinstance(token, int) for token in answers[i]["ids"]), answers[i])
        self.assertEqual(answers[1]["ids"], [])
        self.assertIn("Once upon a\u2028\u0085\x0b time", answers[0]["text"])  # readers that split at these still see one line
        self.assertIn("\u4f60\u597d \U0001f600", answers[2]["text"])
        self.assertIn("\u4f60".encode(), result.stdout)  # UTF-8, not \u escapes
        for i in (3, 4, 5, 6, 7):
            self.assertEqual(list(answers[i]), ["error"])
        self.assertIn("10000 members", answers[7]["error"])

    def test_tokenize_answers_line_by_line(self):
        model = data(STORIES)
        process = subprocess.Popen([PONDER, "tokenize", "-m", model], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(2):
            process.stdin.write(b'{"text":"Tom"}\n')
            process.stdin.flush()
            self.assertTrue(select.select([process.stdout], [], [], DEADLINE_S)[0])
            self.assertIn("ids", json.loads(process.stdout.readline()))
        process.stdin.close()
        self.assertEqual(process.wait(DEADLINE_S), 0)
        process.stdout.close()

    def test_tokenize_streams_ten_megabytes(self):
        model = data(STORIES)
        line = json.dumps({"text": "Lily and Tom went to the park. " * 32}).encode() + b"\n"
        n_lines = 10_000_000 // len(line)
        result = run("tokenize", "-m", model, stdin=line * n_lines)
        self.assert_done(result)
        self.assertEqual(result.stdout.count(b"\n"), n_lines)

    def test_tokenizer_file(self):
        # The smallest byte-level BPE: one merge and one special token.
        vocabulary = {chr(c): c for c in range(33, 127)}
        vocabulary["ab"] = 200
        document = {"version": "1.0", "added_tokens": [{"id": 201, "content": "<x>", "single_word": False, "lstrip": False, "rstrip": False,
                                                        "normalized": False, "special": True}],
                    "normalizer": None, "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
                    "decoder": {"type": "ByteLevel"}, "model": {"type": "BPE", "vocab": vocabulary, "merges": ["a b"]}}
        path = os.path.join(self.temporary_folder(), "tokenizer.json")
        with open(path, "w") as file:
            json.dump(document, file)
        probe = run("tokenize", "--tokenizer", path, stdin=b"")
        if probe.returncode != 0:
            self.assert_fails(probe, 1, "ponder: tokenize: ")
            self.skipTest("skipped: the library does not take this pre-tokenizer")
        special = json_lines(run("tokenize", "--tokenizer", path, stdin=b'{"text":"ab<x>"}\n').stdout)
        self.assertEqual(special[0]["ids"], [200, 201])
        plain = json_lines(run("tokenize", "--tokenizer", path, "--no-special", stdin=b'{"text":"ab<x>"}\n').stdout)
        self.assertEqual(plain[0]["ids"], [200, 60, 120, 62])

    def test_render_lines(self):
        path = os.path.join(self.temporary_folder(), "chat.jinja")
        with open(path, "w") as file:
            file.write("{% for m in messages %}{% if m.role == 'bad' %}{{ raise_exception('bad role') }}{% endif %}[{{ m.role }}]{{ m.content }}{% endfor %}"
                       "{% for key in extra %}{{ key }}{% endfor %}")
        contexts = [{"messages": [{"role": "user", "content": "h\u00e9"}]}, {"messages": [{"role": "bad", "content": ""}]},
                    {"messages": [], "extra": {"z": 1, "a": 2}}]
        stdin = "".join(json.dumps({"context": context}) + "\n" for context in contexts) + '{"text":1}\n'
        result = run("render", "--template", path, stdin=stdin.encode())
        self.assert_done(result)
        answers = json_lines(result.stdout)
        self.assertEqual(answers[0], {"text": "[user]h\u00e9"})
        self.assertIn("bad role", answers[1]["error"])
        self.assertEqual(answers[2], {"text": "za"})  # keys keep their order
        self.assertEqual(list(answers[3]), ["error"])


class Model(ToolTest):
    def events(self, *arguments, stdin=b""):
        result = run("run", "-m", data(STORIES), "--json", *arguments, stdin=stdin)
        self.assert_done(result)
        events = json_lines(result.stdout)
        self.assertTrue(events)
        self.assertTrue(all(event["type"] in ("thinking", "answer") and isinstance(event["text"], str) for event in events[:-1]))
        done = events[-1]
        self.assertEqual(list(done), ["type", "finish_reason", "usage", "timing"])
        self.assertEqual(done["type"], "done")
        self.assertTrue(all(type(done["usage"][key]) is int for key in ("prompt_tokens", "thinking_tokens", "answer_tokens")))
        self.assertTrue(all(done["timing"][key] >= 0 for key in ("load_s", "prefill_s", "decode_s")))
        return "".join(event["text"] for event in events[:-1]), done

    def test_greedy_story(self):
        text, done = self.events("--raw", "-p", "", "--temperature", "0", "--max-tokens", "40")
        self.assertTrue(text.strip().startswith("Once upon a time"), text)
        self.assertEqual(done["finish_reason"], "length")
        self.assertEqual(done["usage"]["answer_tokens"], 40)
        plain = run("run", "-m", data(STORIES), "--raw", "-p", "", "--temperature", "0", "--max-tokens", "40")
        self.assert_done(plain)
        self.assertEqual(plain.stdout.decode(), text if text.endswith("\n") else text + "\n")
        self.assertEqual(plain.stderr, b"")

    def test_thought_and_answer_are_separate_events(self):
        model = self.tiny_model()
        result = run("run", "-m", model, "--json", "-p", "hi", "--think-budget", "5", "--max-tokens", "30", "--seed", "3")
        self.assert_done(result)
        events = json_lines(result.stdout)
        kinds = [event["type"] for event in events]
        self.assertEqual(kinds, sorted(kinds, key=["thinking", "answer", "done"].index))
        self.assertEqual(set(kinds), {"thinking", "answer", "done"})
        usage = events[-1]["usage"]
        self.assertEqual(usage["thinking_tokens"], 5)
        self.assertTrue(0 < usage["answer_tokens"] <= 25, usage)
        hidden = json_lines(run("run", "-m", model, "--json", "-p", "hi", "--think-budget", "5", "--max-tokens", "30", "--seed", "3",
                                "--hide-thinking").stdout)
        self.assertEqual([event for event in events[:-1] if event["type"] == "answer"], hidden[:-1])
        without = json_lines(run("run", "-m", model, "--json", "-p", "hi", "--think-budget", "0", "--max-tokens", "9").stdout)
        self.assertEqual(without[-1]["usage"]["thinking_tokens"], 0)

    def test_prompt_from_standard_input(self):
        given, _ = self.events("-p", "Tom went", "--temperature", "0", "--max-tokens", "8")
        piped, _ = self.events("--temperature", "0", "--max-tokens", "8", stdin=b"Tom went\n")
        self.assertEqual(given, piped)

    def test_seed_decides(self):
        sample = lambda seed: self.events("-p", "One day", "--temperature", "1", "--seed", seed, "--max-tokens", "24")[0]
        self.assertEqual(sample("7"), sample("7"))
        self.assertGreater(len({sample(seed) for seed in ("7", "8", "9")}), 1)

    def test_stop_string(self):
        text, done = self.events("-p", "", "--temperature", "0", "--stop", "time", "--stop", "[x]", "--max-tokens", "40")
        self.assertNotIn("time", text)
        self.assertEqual(done["finish_reason"], "stop")

    def test_system_needs_a_template(self):
        self.assert_fails(run("run", "-m", data(STORIES), "-p", "a", "--system", "s"), 1, "chat template")

    def test_logits(self):
        model, folder = data(STORIES), self.temporary_folder()
        tokens = ",".join(str(1 + i % 500) for i in range(20))
        whole, chunked = os.path.join(folder, "whole.npy"), os.path.join(folder, "chunked.npy")
        self.assert_done(run("logits", "-m", model, "--tokens", tokens, "--out", whole))
        self.assert_done(run("logits", "-m", model, "--tokens", tokens, "--out", chunked, "--chunk", "7"))
        shape, first = read_npy(whole)
        self.assertEqual(shape, (20, 512))
        shape, second = read_npy(chunked)
        self.assertEqual(shape, (20, 512))
        self.assertLess(max(abs(a - b) for a, b in zip(first, second)), 1e-3)
        self.assert_fails(run("logits", "-m", model, "--tokens", "1,999999", "--out", os.path.join(folder, "bad.npy")), 1, "ponder: logits: ")
        self.assertEqual(sorted(os.listdir(folder)), ["chunked.npy", "whole.npy"])  # nothing half-written

    def test_perplexity_and_divergence(self):
        model, folder = data(STORIES), self.temporary_folder()
        text, base = os.path.join(folder, "text.txt"), os.path.join(folder, "base.npy")
        with open(text, "w") as file:
            file.write("Once upon a time, there was a little girl named Lily. She loved to play outside in the park. " * 12)
        result = run("perplexity", "-m", model, "-f", text, "--context", "64", "--json", "--save-logits", base)
        self.assert_done(result)
        saved = json_lines(result.stdout)[0]
        self.assertTrue(1 < saved["perplexity"] < 200, saved)
        self.assertEqual(read_npy(base)[0], (saved["tokens"], 512))
        self.assertEqual(saved["tokens"] % 31, 0)  # half of each window of 64, less the last token
        compared = json_lines(run("perplexity", "-m", model, "-f", text, "--context", "64", "--json", "--kld", base).stdout)[0]
        self.assertAlmostEqual(compared["perplexity"], saved["perplexity"], places=6)
        self.assertLess(compared["mean_kld"], 1e-14)
        self.assertEqual(compared["same_top"], 1.0)
        self.assert_fails(run("perplexity", "-m", model, "-f", text, "--context", "32", "--kld", base), 1, "shape")
        self.assert_fails(run("perplexity", "-m", model, "-f", "/dev/null"), 1, "/dev/null: 1 tokens")
        plain = run("perplexity", "-m", model, "-f", text, "--context", "64")
        self.assertRegex(plain.stdout, rb"^perplexity: \d+\.\d+ \+/- \d+\.\d+ \(\d+ tokens\)\n$")

    def test_bench(self):
        for extra in ([], ["--sequences", "3", "--depth", "10"]):
            result = run("bench", "-m", data(STORIES), "--json", "--prompt", "32", "--generate", "4", "--reps", "2", *extra)
            self.assert_done(result)
            figures = json_lines(result.stdout)[0]
            for key in ("prefill_tps", "decode_tps", "load_s", "first_token_s", "peak_rss_bytes", "bytes_per_token", "read_bandwidth"):
                self.assertTrue(figures[key] > 0 and math.isfinite(figures[key]), (key, figures))
            self.assertTrue(all(isinstance(figures[key], str) for key in ("backend", "device", "isa")), figures)
            self.assertEqual(figures["sequences"], 3 if extra else 1)

    def test_inspect(self):
        model = data(STORIES)
        document = json_lines(run("inspect", model, "--json", "--tensors").stdout)[0]
        self.assertEqual(document["architecture"], "llama")
        self.assertEqual(document["metadata"]["llama.block_count"], 5)
        self.assertEqual(len(document["tensors"]), document["n_tensors"])
        self.assertEqual(sum(total["bytes"] for total in document["types"].values()), document["tensor_bytes"])
        self.assertEqual(document["tokenizer"]["n_tokens"], 512)
        table = run("inspect", model)
        self.assert_done(table)
        self.assertIn(b"llama.block_count = 5", table.stdout)
        self.assert_fails(run("inspect", model, "--template"), 1, "template")

    def test_plan(self):
        model = data(STORIES)
        roomy = json_lines(run("plan", "-m", model, "--json", "--context", "256").stdout)[0]
        self.assertTrue(roomy["fits"])
        self.assertEqual(roomy["context"], 256)
        self.assertGreaterEqual(roomy["total_bytes"], roomy["weight_bytes"])
        self.assertTrue(roomy["devices"])
        tight = run("plan", "-m", model, "--json", "--context", "256", "--memory-cap", "1K")
        self.assert_done(tight)
        self.assertFalse(json_lines(tight.stdout)[0]["fits"])
        self.assertIn(b"does not fit", run("plan", "-m", model, "--memory-cap", "1K").stdout)

    def test_plan_of_streamed_experts(self):
        path = os.path.join(self.temporary_folder(), "experts.gguf")
        self.assert_done(run("synth", "tiny-deepseek-v3", path, "--type", "Q8_0"))
        whole = json_lines(run("plan", "-m", path, "--json").stdout)[0]
        self.assertFalse(whole["streams"])
        self.assertLess(whole["least_bytes"], whole["total_bytes"])
        cap = str(whole["least_bytes"])
        least = json_lines(run("plan", "-m", path, "--json", "--memory-cap", cap).stdout)[0]
        self.assertTrue(least["fits"] and least["streams"])
        self.assertEqual(least["total_bytes"], least["least_bytes"])
        self.assertEqual(sum(least[part] for part in ("weight_bytes", "expert_bytes", "kv_bytes", "scratch_bytes", "host_bytes")),
                         least["total_bytes"])
        self.assertIn(b"when they are needed", run("plan", "-m", path, "--memory-cap", cap).stdout)

    def test_split_models(self):
        path = os.path.join(self.temporary_folder(), "experts.gguf")
        self.assert_done(run("synth", "tiny-deepseek-v3", path, "--type", "Q8_0", "--layers", "4"))
        whole = ["-m", path, "--backend", "reference", "--context", "256"]
        text = ["run", "-p", "Once", "--raw", "--temperature", "0", "--max-tokens", "12"]
        expected = run(*text, *whole)
        self.assert_done(expected)
        single = json_lines(run("plan", *whole, "--json").stdout)[0]["devices"]
        self.assertEqual([(d["first_layer"], d["layers"]) for d in single], [(0, 4)])
        half = str(single[0]["total_bytes"] * 3 // 4)
        for flags in (["--device-layers", "2"], ["--device-layers", "0"], ["--device-memory", half], ["--experts-on-cpu"],
                      ["--device-layers", "9", "--experts-on-cpu"], ["--device-memory", half, "--experts", "memory"]):
            plan = json_lines(run("plan", *whole, *flags, "--json").stdout)[0]
            devices = plan["devices"]
            self.assertEqual(sum(d["layers"] for d in devices), 4)
            self.assertEqual(sum(d["expert_layers"] for d in devices), 3)
            for part in ("weight_bytes", "kv_bytes"):
                self.assertEqual(sum(d[part] for d in devices), plan[part])
            self.assert_done(run(*text, *whole, *flags))
        self.assertEqual(run(*text, *whole, "--experts-on-cpu").stdout, expected.stdout)
        table = run("plan", *whole, "--device-layers", "2")
        self.assert_done(table)
        self.assertIn(b" 0-1 ", table.stdout)
        for weights in ("auto", "mapped", "copied"):
            self.assertEqual(run(*text, *whole, "--weights", weights).stdout, expected.stdout)
        for bad in (["--device-layers", "-1"], ["--device-layers", "two"], ["--device-memory", "0"], ["--device-memory", "lots"],
                    ["--experts", "some"], ["--weights", "large"]):
            self.assertEqual(run("plan", *whole, *bad).returncode, 2)

    def test_synth(self):
        folder = self.temporary_folder()
        path = os.path.join(folder, "tiny.gguf")
        self.assert_fails(run("synth", "no-such-shape", path), 1, "ponder: synth: ", "no-such-shape")
        self.assertEqual(os.listdir(folder), [])

    def test_quantize(self):
        model, folder = self.tiny_model(), self.temporary_folder()
        out = os.path.join(folder, "out.gguf")
        result = run("quantize", model, out, "Q4_K_M", "--json")
        self.assert_done(result)
        done = json_lines(result.stdout)[0]
        self.assertEqual(done["file_bytes"], os.path.getsize(out))
        self.assertEqual(done["written_bytes"], sum(total["bytes"] for total in done["types"].values()))
        self.assertTrue(done["written_bytes"] < done["source_bytes"] < os.path.getsize(model))
        self.assertEqual(done["n_tensors"], 27)
        self.assertEqual(sum(total["tensors"] for total in done["types"].values()), 27)
        self.assertEqual(done["n_fallbacks"], 15)  # rows of 64 are no super-blocks
        self.assertEqual(set(done["types"]), {"F32", "Q5_0", "Q8_0"})
        inspected = json_lines(run("inspect", out, "--json").stdout)[0]
        self.assertEqual(inspected["metadata"]["general.file_type"], 15)
        self.assert_done(run("run", "-m", out, "-p", "hi", "--max-tokens", "3"))
        plain = run("quantize", out, os.path.join(folder, "again.gguf"), "q8_0", "--threads", "1")
        self.assert_done(plain)
        self.assertRegex(plain.stdout, rb"^\S+again.gguf: .+ -> .+, 27 tensors \(Q8_0 16, F32 11\), \d+\.\d s\n$")
        verbose = run("quantize", model, out, "Q4_K_M", "--verbose")
        self.assertIn(b"blk.0.attn_q.weight: rows of 64 are not whole blocks of Q4_K; stored as Q5_0", verbose.stderr)

    def test_convert(self):
        model, folder = self.tiny_model(), self.temporary_folder()
        out = os.path.join(folder, "out.gguf")
        self.assert_done(run("convert", model, out))
        with open(model, "rb") as a, open(out, "rb") as b:
            self.assertEqual(a.read(), b.read())
        self.assert_done(run("convert", model, out, "--type", "BF16"))
        self.assertEqual(json_lines(run("inspect", out, "--json").stdout)[0]["metadata"]["general.file_type"], 32)

    def test_conversions_that_fail(self):
        model, folder = self.tiny_model(), self.temporary_folder()
        out = os.path.join(folder, "out.gguf")
        self.assert_fails(run("quantize", model, out), 2, "type is required")
        self.assert_fails(run("quantize", model), 2, "out is required")
        self.assert_fails(run("convert", model, out, "--threads", "0"), 2, "--threads")
        self.assert_fails(run("convert", model, out, "Q8_0"), 2)
        self.assert_fails(run("quantize", model, out, "Q9"), 1, "no type mix", "Q4_K_M")
        self.assert_fails(run("quantize", out, out, "Q8_0"), 1, "ponder: quantize: ", out)
        self.assert_fails(run("quantize", model, model, "Q8_0"), 1, "choose another name")
        self.assert_fails(run("quantize", model, out, "Q8_0", "--imatrix", model), 1, "general.type")
        self.assert_fails(run("quantize", model, "/dev/full", "Q8_0"), 1, "/dev/full")
        self.assertEqual(os.listdir(folder), [])

    def test_conversion_is_cancelled_by_a_signal(self):
        folder = self.temporary_folder()
        model, out = os.path.join(folder, "in.gguf"), os.path.join(folder, "out.gguf")
        self.assert_done(run("synth", "r1-distill-qwen-1.5b", model, "--layers", "1", "--type", "Q8_0"))
        process = subprocess.Popen([PONDER, "quantize", model, out, "Q4_K_M"], stderr=subprocess.PIPE, stdout=subprocess.PIPE)
        while process.poll() is None and not any(".tmp-" in name for name in os.listdir(folder)):
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=tool_test.DEADLINE_S)
        self.assertEqual((process.returncode, error), (1, b"ponder: quantize: cancelled\n"))
        self.assertEqual(os.listdir(folder), ["in.gguf"])


if __name__ == "__main__":
    tool_test.main()

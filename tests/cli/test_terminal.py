# SPDX-License-Identifier: Apache-2.0
"""Tests of the ponder tool as a person meets it: signals, and chats through a terminal and a pipe. Usage: see tool_test.py."""
import json
import os
import pty
import select
import signal
import subprocess
import time

import tool_test
from tool_test import DEADLINE_S, PONDER, STORIES, ToolTest, data, json_lines, run


class Interrupt(ToolTest):
    def interrupt(self, *arguments, after_output=False):
        process = subprocess.Popen([PONDER, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if after_output:
            self.assertTrue(select.select([process.stdout], [], [], DEADLINE_S)[0])
        else:
            time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        output, error = process.communicate(timeout=DEADLINE_S)
        return subprocess.CompletedProcess(arguments, process.returncode, output, error)

    def test_run(self):
        # Greedy and far past the end of the story, so that it cannot be over before the signal.
        result = self.interrupt("run", "-m", data(STORIES), "--json", "--raw", "-p", "Once", "--temperature", "1", "--context", "100000",
                                "--backend", "reference", after_output=True)
        if result.returncode == 0:
            self.skipTest("skipped: the answer was over before the signal")
        self.assert_fails(result, 1, "ponder: run: cancelled")
        self.assertEqual(json_lines(result.stdout)[-1]["finish_reason"], "cancelled")

    def test_bench(self):
        result = self.interrupt("bench", "-m", data(STORIES), "--prompt", "300", "--generate", "64", "--reps", "10000")
        self.assert_fails(result, 1, "ponder: bench: cancelled")

    def test_waiting_for_a_prompt(self):
        process = subprocess.Popen([PONDER, "run", "-m", data(STORIES)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(DEADLINE_S), 1)
        self.assertEqual(process.stderr.read(), b"ponder: run: cancelled\n")
        for stream in (process.stdin, process.stdout, process.stderr):
            stream.close()


class Chat(ToolTest):
    def start(self, *arguments):
        try:
            self.pid, self.terminal = pty.fork()
        except OSError as refusal:
            self.skipTest(f"no pseudo-terminal here: {refusal}")
        if self.pid == 0:
            os.environ["TERM"] = "xterm"
            os.execv(PONDER, [PONDER, "chat", *arguments])
        self.addCleanup(os.close, self.terminal)
        self.seen = b""

    def wait_for(self, text):
        """Reads the terminal until `text` shows; returns all up to and with it."""
        limit = time.monotonic() + DEADLINE_S
        while text not in self.seen:
            ready = select.select([self.terminal], [], [], max(0.0, limit - time.monotonic()))[0]
            if not ready:
                self.fail(f"{text!r} did not come; got {self.seen!r}")
            try:
                piece = os.read(self.terminal, 65536)
            except OSError:
                piece = b""
            if not piece:
                self.fail(f"the chat ended before {text!r}; got {self.seen!r}")
            self.seen += piece
        end = self.seen.index(text) + len(text)
        shown, self.seen = self.seen[:end], self.seen[end:]
        return shown

    def send(self, text):
        os.write(self.terminal, text.encode())

    def assert_left(self):
        limit = time.monotonic() + DEADLINE_S
        while True:
            try:
                if not os.read(self.terminal, 65536):
                    break
            except OSError:
                break  # the terminal's other side is closed
            self.assertLess(time.monotonic(), limit)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1]), 0)

    def test_conversation(self):
        saved = os.path.join(self.temporary_folder(), "chat.json")
        self.start("-m", data(STORIES), "--max-tokens", "12", "--temperature", "0")
        self.wait_for(b"\n> ")
        self.send("Once upon\n")
        self.assertIn(b"tokens/s", self.wait_for(b"\n> "))
        self.send("/think 16\n")
        self.assertIn(b"16", self.wait_for(b"\n> "))
        self.send("/think many\n")
        self.assertIn(b"ponder: chat: ", self.wait_for(b"\n> "))
        self.send(f"/save {saved}\n")
        self.assertIn(b"saved 2 messages", self.wait_for(b"\n> "))
        with open(saved) as file:
            messages = json.load(file)["messages"]
        self.assertEqual([message["role"] for message in messages], ["user", "assistant"])
        self.assertEqual(messages[0]["content"], "Once upon")
        self.send("/reset\n")
        self.wait_for(b"\n> ")
        self.send(f"/load {saved}\n")
        self.assertIn(b"loaded 2 messages", self.wait_for(b"\n> "))
        self.send(f"/load {saved}.missing\n")
        self.assertIn(b"ponder: chat: ", self.wait_for(b"\n> "))
        self.send("two \\\n")
        self.wait_for(b"\n. ")
        self.send("lines\n")
        self.wait_for(b"\n> ")
        self.send(f"/save {saved}\n")
        self.wait_for(b"saved 4 messages")
        with open(saved) as file:
            self.assertEqual(json.load(file)["messages"][2]["content"], "two \nlines")
        self.send("/quit\n")
        self.assert_left()

    def test_interrupt_stops_the_answer_then_leaves(self):
        self.start("-m", data(STORIES), "--temperature", "1", "--context", "100000", "--backend", "reference")
        self.wait_for(b"\n> ")
        self.send("Once upon a time\n")
        self.wait_for(b"\n")
        time.sleep(0.3)
        self.send("\x03")
        self.wait_for(b"\n> ")
        self.send("\x03")
        self.assert_left()

    def test_end_of_input_leaves(self):
        self.start("-m", data(STORIES))
        self.wait_for(b"\n> ")
        self.send("\x04")
        self.assert_left()

    def test_json_events(self):
        result = run("chat", "-m", data(STORIES), "--json", "--max-tokens", "4", stdin=b"Once\n/think 3\n/nonsense\nupon\n")
        self.assert_done(result)
        kinds = [event["type"] for event in json_lines(result.stdout) if event["type"] != "answer"]
        self.assertEqual(kinds, ["done", "note", "error", "done"])

    def test_bad_conversation_files(self):
        folder = self.temporary_folder()
        path = os.path.join(folder, "chat.json")
        for content in ("", "[]", "{", '{"messages":1}', '{"messages":[{"role":"user"}]}', '{"messages":[{"role":"robot","content":"a"}]}',
                        '{"messages":[],"version":2}', "[" * 100000):
            with open(path, "w") as file:
                file.write(content)
            with self.subTest(content[:40]):
                result = run("chat", "-m", data(STORIES), "--json", stdin=f"/load {path}\n".encode())
                self.assert_done(result)
                self.assertEqual([event["type"] for event in json_lines(result.stdout)], ["error"])


if __name__ == "__main__":
    tool_test.main()

# SPDX-License-Identifier: Apache-2.0
"""Writes the greedy transcripts that tests/golden/test_reasoner.cpp holds every backend to.

Usage: record_transcripts.py PONDER [MODEL.gguf]; to be run again whenever the model is replaced.
"""
import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
QUESTIONS = ["Which is larger, 9.11 or 9.9?", "How many r's are in strawberry?", "What is 347 + 586?", "What is 902 - 417?",
             "What is 47 times 6?", "Reverse the word planet.", "Sort the numbers 31, 7, 88, 52.", "It is 10:50. What time will it be in 25 minutes?",
             "Tom has 3 boxes of 14 apples and gives 9 to Mia. How many apples does he have now?", "Who wrote Hamlet?"]


def ask(ponder, model, question):
    command = [ponder, "run", "-m", model, "-p", question, "--temperature", "0", "--backend", "reference", "--json"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    events = [json.loads(line) for line in lines]
    text = {kind: "".join(e["text"] for e in events if e["type"] == kind) for kind in ("thinking", "answer")}
    return {"question": question, **text}


def main():
    ponder, model = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else str(HERE / "tiny-reasoner.gguf")
    records = [ask(ponder, model, question) for question in QUESTIONS]
    path = HERE.parents[1] / "tests" / "golden" / "reasoner_transcripts.json"
    path.write_text(json.dumps(records, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

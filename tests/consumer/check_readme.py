# SPDX-License-Identifier: Apache-2.0
# README.md's C and C++ programs are exactly the marked regions of examples/minimal.c and minimal.cpp, which the tests build and run.
import pathlib
import re
import sys


def read_region(path):
    text = path.read_text(encoding="utf-8")
    found = re.search(r"^[^\n]*README: begin[^\n]*\n(.*?)^[^\n]*README: end", text, re.M | re.S)
    return found.group(1) if found else sys.exit(f"{path}: no region between 'README: begin' and 'README: end'")


def main():
    root = pathlib.Path(sys.argv[1])
    readme = (root / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```(\w+)\n(.*?)^```", readme, re.M | re.S)
    failures = 0
    for language, file in (("c", "minimal.c"), ("cpp", "minimal.cpp")):
        expected = read_region(root / "examples" / file)
        if (language, expected) not in blocks:
            print(f"README.md has no ```{language} block that equals the marked region of examples/{file}")
            failures += 1
    return 1 if failures else 0


sys.exit(main())

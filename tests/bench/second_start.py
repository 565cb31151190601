#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""second_start.py TOOL MODEL [ROUNDS]: how much sooner a GPU's first token comes on the second start.

Each round runs the whole process to its first token three times with a home folder of its own: with nothing cached, with what the first run
left (the tool's --device-cache and the driver's own disk cache), and with the driver's disk cache alone. Prints seconds and the ratio."""

import os
import statistics
import subprocess
import sys
import tempfile
import time


def run(tool, model, home, cache):
    command = [tool, "run", "-m", model, "--backend", "vulkan", "--max-tokens", "1", "-p", "What is 17 + 25?"]
    if cache:
        command += ["--device-cache", cache]
    environment = dict(os.environ, HOME=home, XDG_CACHE_HOME=os.path.join(home, "cache"))
    begin = time.monotonic()
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
    return time.monotonic() - begin


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    tool, model = sys.argv[1:3]
    first, second, driver = [], [], []
    for _ in range(int(sys.argv[3]) if len(sys.argv) == 4 else 3):
        with tempfile.TemporaryDirectory() as home:
            cache = os.path.join(home, "device-cache")
            first.append(run(tool, model, home, cache))
            second.append(run(tool, model, home, cache))
            driver.append(run(tool, model, home, None))
    seconds = [statistics.median(times) for times in (first, second, driver)]
    print("first start {:.2f} s, second {:.2f} s, with the driver's disk cache alone {:.2f} s".format(*seconds))
    print("second start: {:.1f} times sooner".format(seconds[0] / seconds[1]))


if __name__ == "__main__":
    main()

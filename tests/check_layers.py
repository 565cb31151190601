# SPDX-License-Identifier: Apache-2.0
# Holds the source tree to its layering, licence lines and sizes (CONTRIBUTING.md says why). Usage: check_layers.py [ROOT]
import pathlib
import re
import sys

ROOT = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent).resolve()
FOLDERS = ("include", "lib", "backends", "bindings", "examples", "tests", "cmake")
SOURCES = {".h", ".hpp", ".c", ".cpp", ".py", ".comp", ".glsl", ".cmake"}
MAX_LINES = 500

# Layer: what it may include besides itself. Siblings of one height never see each other, and text never sees device.
LAYERS = {"base": set()}
LAYERS["quant"] = {"base"}
LAYERS["op"] = LAYERS["quant"] | {"quant"}
LAYERS["format"] = LAYERS["op"] | {"op"}
LAYERS["device"] = LAYERS["op"] | {"op"}
LAYERS["text"] = LAYERS["format"] | {"format"}
LAYERS["model"] = LAYERS["format"] | {"format", "device"}
LAYERS["runtime"] = LAYERS["model"] | {"model", "text"}
LAYERS["capi"] = LAYERS["runtime"] | {"runtime"}

# Third-party header: the only places that may include it (the tests are free to).
THIRD_PARTY = {
    r"(unsupported/)?Eigen/": ("backends/reference/",),
    r"(oneapi/)?dnnl": ("backends/cpu/",),
    r"(vulkan/|volk)": ("backends/vulkan/",),
    r"(pybind11/|Python\.h|jni\.h)": ("bindings/",),
    r"(pcre2|utf8proc)": ("lib/text/",),
    r"nlohmann/": ("lib/format/", "lib/text/", "lib/runtime/", "lib/capi/", "examples/"),
    r"(iostream|sstream|fstream|regex|typeinfo)$": ("bindings/", "examples/"),
}
STD_C = {"stddef.h", "stdint.h"}
# The lists of types and architectures; the shapes and type mixes of test models copy what real files look like, so they are lists too.
REGISTRIES = re.compile(r"lib/(quant/quant_registry|model/arch_\w+|runtime/synth_\w+|runtime/type_mix)\.cpp$")
TYPE_SWITCH = re.compile(r"case\s+(QuantType|QuantId|Architecture|Arch)::|\barch\w*\s*[=!]=\s*\"|[=!]=\s*\"[TI]?I?Q\d_\w+\"")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)


def check_include(path, is_quoted, name):
    top = name.split("/")[0]
    room = path.split("/")
    for pattern, places in THIRD_PARTY.items():
        if re.match(pattern, name) and room[0] != "tests" and not path.startswith(places):
            return f"<{name}> belongs in {' or '.join(places)} only"
    if room[0] == "lib" and top in LAYERS and top != room[1] and top not in LAYERS[room[1]]:
        return f"lib/{room[1]} must not include lib/{top}"
    if room[0] == "lib" and (top == "backends" or name.startswith("../") or name.endswith("ponder.hpp")):
        return f'"{name}" is outside of what lib/ may see'
    if room[0] == "backends" and (top in LAYERS.keys() - {"base", "quant"} or name.startswith("../")):
        return f'a backend sees ponder_backend.h, lib/base and lib/quant, not "{name}"'
    if room[0] in ("bindings", "examples") and (top in LAYERS or "../" in name) and not (ROOT / path).parent.joinpath(name).exists():
        return f'{room[0]}/ sees include/ponder only, not "{name}"'
    if room[0] == "include" and not top.startswith("ponder") and (is_quoted or (path.endswith(".h") and name not in STD_C) or "." in name and name not in STD_C):
        return f"public headers include standard headers only, not {name}"
    return None


def check_file(path):
    text = (ROOT / path).read_text(encoding="utf-8")
    lines = text.splitlines()
    if "SPDX-License-Identifier: Apache-2.0" not in "".join(lines[:2]):
        yield "no SPDX line at the top"
    if len(lines) > MAX_LINES and not re.search(r"_tables\.[ch]pp$", path):
        yield f"{len(lines)} lines, more than {MAX_LINES}: split it by idea"
    for quote, name in INCLUDE.findall(text):
        if problem := check_include(path, quote == '"', name):
            yield problem
    if path.startswith(("lib/", "backends/")) and not REGISTRIES.search(path):
        for number, line in enumerate(lines, 1):
            if TYPE_SWITCH.search(line):
                yield f"line {number} tells types or architectures apart outside their registry: {line.strip()}"
    if path.startswith(("lib/", "backends/", "include/")) and re.search(r"^using namespace ", text, re.M):
        yield "using namespace at file scope"


def main():
    n_files, failures = 0, []
    for folder in FOLDERS:
        for file in sorted((ROOT / folder).rglob("*")):
            if not file.is_file() or (file.suffix not in SOURCES and file.name != "CMakeLists.txt"):
                continue
            n_files += 1
            path = file.relative_to(ROOT).as_posix()
            failures += [f"{path}: {problem}" for problem in check_file(path)]
    print("\n".join(failures + [f"{n_files} files, {len(failures)} failures"]))
    return 1 if failures or not n_files else 0


sys.exit(main())

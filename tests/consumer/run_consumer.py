# SPDX-License-Identifier: Apache-2.0
# Builds and runs outside projects against ponder. Usage: run_consumer.py ... installed|subdirectory (see CMakeLists.txt here)
import argparse
import os
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent


def run(*command, **options):
    print("+", " ".join(str(word) for word in command), flush=True)
    return subprocess.run([str(word) for word in command], check=True, **options)


def run_program(program, model, environment=None):
    """One answer from the tiny model, and a clean failure without a model."""
    run(program, model, "Hello?", stdout=subprocess.DEVNULL, env=environment, timeout=300)
    failed = subprocess.run([str(program), "/nonexistent/model.gguf"], capture_output=True, text=True, env=environment, timeout=60)
    if failed.returncode != 1 or "model.gguf" not in failed.stderr:
        sys.exit(f"{program}: exit {failed.returncode} and {failed.stderr!r} for a missing model")


def configure_and_build(args, project, build, *definitions):
    run(args.cmake, "-S", HERE / project, "-B", build, "-G", args.generator, f"-DCMAKE_C_COMPILER={args.cc}",
        f"-DCMAKE_CXX_COMPILER={args.cxx}", *definitions)
    run(args.cmake, "--build", build, "--parallel", min(os.cpu_count() or 1, 8))


def test_installed(args, work):
    prefix = work / "prefix"
    run(args.cmake, "--install", args.build, "--prefix", prefix, stdout=subprocess.DEVNULL)
    # Moved after installing: nothing in it may name the place where it was installed first.
    moved = work / "moved"
    prefix.rename(moved)
    configure_and_build(args, "find_package", work / "build", f"-DCMAKE_PREFIX_PATH={moved}", f"-DEXAMPLES={args.source}/examples")
    for name in ("minimal_c", "minimal_cpp"):
        run_program(work / "build" / name, args.model)

    if not shutil.which("pkg-config"):
        sys.exit("pkg-config is not installed")
    configs = sorted(moved.rglob("ponder.pc"))
    libraries = configs[0].parent.parent
    environment = dict(os.environ, PKG_CONFIG_PATH=str(configs[0].parent), LD_LIBRARY_PATH=str(libraries))
    answer = run("pkg-config", "--cflags", "--libs", "ponder", env=environment, capture_output=True, text=True)
    flags = answer.stdout.split()
    run(args.cc, "-std=c11", f"{args.source}/examples/minimal.c", "-o", work / "by_pkg_config_c", *flags)
    run(args.cxx, "-std=c++20", f"{args.source}/examples/minimal.cpp", "-o", work / "by_pkg_config_cpp", *flags)
    for name in ("by_pkg_config_c", "by_pkg_config_cpp"):
        run_program(work / name, args.model, environment)


def test_subdirectory(args, work):
    # Unoptimised: this asks whether it builds and links statically, not how fast it is.
    configure_and_build(args, "subdirectory", work / "build", f"-DPONDER_SOURCE={args.source}", "-DCMAKE_BUILD_TYPE=", "-DCMAKE_CXX_FLAGS=-O0")
    for name in ("uses_c", "uses_cpp"):
        run_program(work / "build" / name, args.model)


def main():
    parser = argparse.ArgumentParser()
    for option in ("cmake", "generator", "cc", "cxx", "source", "work", "model"):
        parser.add_argument(f"--{option}", required=True)
    parser.add_argument("--build")
    parser.add_argument("mode", choices=("installed", "subdirectory"))
    args = parser.parse_args()
    work = pathlib.Path(args.work) / args.mode
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    {"installed": test_installed, "subdirectory": test_subdirectory}[args.mode](args, work)
    shutil.rmtree(work)
    return 0


sys.exit(main())

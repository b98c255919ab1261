#!/usr/bin/env python3
"""Runs the programs of GradBench's evals, checks their answers and prints times.

    run.py --programs build/release/benchmarks/gradbench            ours, checked against reference.py
    run.py --programs ... --suite CHECKOUT                          and the suite's own tools on the same inputs
    run.py --programs ... --suite CHECKOUT --write-expected         the small cases that ctest compares with

CHECKOUT, or GRADBENCH_SUITE in the environment, is a clone of github.com/gradbench/gradbench. Its C++ tools are built
there with its own makefiles, as it does itself (nlohmann-json must be installed; adept, codipack, cppad, adol-c where
the compiler finds their headers: CPATH, LIBRARY_PATH, LD_LIBRARY_PATH and PKG_CONFIG_PATH are passed on); its PyTorch
and JAX tools run where the interpreter --python has the package. Everything runs in turns, pinned on one core.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

import inputs
import reference

HERE = pathlib.Path(__file__).resolve().parent
TOLERANCE = 1e-4  # the suite's
CPP_TOOLS = ["manual", "adept", "codipack", "cppad", "adol-c", "finite"]
PYTHON_TOOLS = {"pytorch": "torch", "jax": "jax"}

# Speaks the C++ protocol for one of the suite's Python tools.
PYTHON_RUNNER = """
import importlib, json, sys
tool, name, path, function = sys.argv[1:]
if tool == "pytorch":
    import torch
    torch.set_num_threads(1)
else:
    # A jitted function returns when its work has been handed to another thread, and there the suite's tool stops its
    # clock: here it waits for the result.
    import jax
    from gradbench import wrap
    multiple_runs = wrap.multiple_runs
    wrap.multiple_runs = lambda **how: lambda f: multiple_runs(**how)(lambda x: jax.block_until_ready(f(x)))
module = importlib.import_module(f"gradbench.tools.{tool}.{name}")
result = getattr(module, function).wrapped(json.load(open(path)))
print(json.dumps(result["output"]))
for timing in result["timings"]:
    print(json.dumps(timing))
"""


def environment(**more):
    env = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS_")}
    for name in ("OPENBLAS", "OMP", "MKL"):
        env[f"{name}_NUM_THREADS"] = "1"
    env["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    return env | more


class Tool:
    """Something that answers FILE FUNCTION with the protocol's lines."""

    def __init__(self, name, command, env):
        self.name, self.command, self.env = name, command, env
        self.given_up = set()  # took too long

    def run(self, eval_name, function, path, timeout):
        command = self.command(eval_name)
        if command is None or (eval_name, function, path) in self.given_up:
            return None
        try:
            done = subprocess.run([*command, path, function], capture_output=True, text=True, env=self.env,
                                  timeout=timeout)
        except subprocess.TimeoutExpired:
            self.given_up.add((eval_name, function, path))
            return None
        if done.returncode != 0:
            if self.name == "wengert":
                sys.exit(f"{eval_name} {function}: {done.stderr}")
            return None
        lines = done.stdout.splitlines()
        times = [json.loads(line) for line in lines[1:]]
        return json.loads(lines[0]), min(t["nanoseconds"] for t in times if t["name"] == "evaluate") * 1e-3


def cpp_tool(name, suite, shim):
    def command(eval_name):
        folder = suite / "tools" / name
        program = folder / "bin" / eval_name
        if not (folder / f"{eval_name}.cpp").exists():
            return None
        if not program.exists():
            # In the environment: on the command line they would hide the flags that a tool's makefile adds.
            flags = f"-std=c++17 -O3 -Wall -I../../cpp -I{shim}"
            subprocess.run(["make", "-C", folder, f"bin/{eval_name}"], capture_output=True,
                           env=os.environ | {"CXXFLAGS": flags})
        return [program] if program.exists() else None

    return Tool(name, command, environment())


def python_tool(name, suite, python):
    def command(eval_name):
        path = suite / "python/gradbench/gradbench/tools" / name / f"{eval_name}.py"
        return [python, "-c", PYTHON_RUNNER, name, eval_name] if path.exists() else None

    return Tool(name, command, environment(PYTHONPATH=str(suite / "python/gradbench")))


def tools(args, shim):
    found = [Tool("wengert", lambda name: [args.programs / name], environment())]
    if args.suite:
        found += [cpp_tool(name, args.suite, shim) for name in CPP_TOOLS if not args.tools or name in args.tools]
        for name, package in PYTHON_TOOLS.items():
            if args.tools and name not in args.tools:
                continue
            if subprocess.run([args.python, "-c", f"import {package}"], capture_output=True).returncode == 0:
                found.append(python_tool(name, args.suite, args.python))
    return found


# ---------------------------------------------------------------------------------------------------- checking


def expected(name, function, data):
    """The whole answer, derivatives one complex step an element: for small inputs."""
    if name == "hello":
        return data * data if function == "square" else 2 * data
    if name == "particle":  # the suite's own numbers (its evals' run.py), from a search that ends where it ends
        return 0.2071918746486116
    if name == "saddle":
        return [8.246324826140356e-06] * 4
    if name == "kmeans" and function == "dir":
        points, centroids = np.array(data["points"]), np.array(data["centroids"])
        chosen = reference.nearest(points, centroids)
        return [(c - points[chosen == i].mean(0)).tolist() for i, c in enumerate(centroids)]
    is_derivative = function == inputs.FUNCTIONS[name][1]
    value = reference.value(name, data)
    if not is_derivative:
        if name == "ba":
            return {"reproj_error": {"elements": value[:2].tolist(), "repeated": data["p"]},
                    "w_err": {"element": value[2], "repeated": data["p"]}}
        return value.tolist()
    units = np.eye(reference.size(name, data))
    columns = np.array([reference.directional(name, data, unit) for unit in units])
    if name == "ode":
        return columns[:, -1].tolist()
    if name == "ht":
        return columns.T.tolist()
    if name == "ba":
        n, m, p = data["n"], data["m"], data["p"]
        one_row = [*range(11), *range(11 * n, 11 * n + 3), 11 * n + 3 * m]
        return {"rows": [15 * min(i, 2 * p) + max(i - 2 * p, 0) for i in range(30)] + [31 * p],
                "cols": one_row * 2 + [11 * n + 3 * m + p - 1],
                "vals": columns.T[:2].reshape(-1).tolist() + [columns.T[2, -1]]}
    if name == "gmm":
        answer, at = {}, 0
        for key, v in reference.variables(name, data).items():
            answer[key] = columns[at:at + v.size].reshape(v.shape).tolist()
            at += v.size
        return answer
    return columns.tolist()


def numbers(answer):
    if isinstance(answer, dict):
        return [x for key in ("alpha", "mu", "q", "l", *sorted(answer)) if key in answer for x in numbers(answer[key])]
    return [x for entry in answer for x in numbers(entry)] if isinstance(answer, list) else [float(answer)]


def difference(a, b):
    """The suite's measure: absolute below 1, relative above."""
    a, b = np.array(numbers(a)), np.array(numbers(b))
    if a.shape != b.shape:
        return float("inf")
    return float((np.abs(a - b) / np.maximum(np.abs(a) + np.abs(b), 1)).max(initial=0))


def check(name, function, data, answer):
    """How far the answer is from the reference: all of it when small, else along a direction."""
    is_value = name in ("hello", "particle", "saddle", "ba", "kmeans") or function == inputs.FUNCTIONS[name][0]
    if is_value or reference.size(name, data) <= 40:
        return difference(answer, expected(name, function, data))
    direction = np.random.default_rng(1).normal(size=reference.size(name, data))
    along = reference.directional(name, data, direction)
    if name == "ode":
        along = along[-1]
    if name == "gmm":
        answer = [answer[key] for key in ("alpha", "mu", "q", "l")]
    flat = np.array(numbers(answer)).reshape(-1, len(direction))
    return difference((flat @ direction).tolist(), np.atleast_1d(along).tolist())


# ---------------------------------------------------------------------------------------------------- main


def write_expected(args, ours_and_theirs):
    for name in args.evals:
        cases = []
        for size in inputs.SIZES["small"][name]:
            data = inputs.make(name, size)
            for function in " ".join(f for f in inputs.FUNCTIONS[name] if f).split():
                output = expected(name, function, data)
                with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
                    json.dump(data, file)
                    file.flush()
                    for tool in ours_and_theirs[1:]:
                        if tool.name != "manual":
                            continue
                        theirs = tool.run(name, function, file.name, 100)
                        apart = difference(theirs[0], output) if theirs else None
                        print(f"{name} {function} {inputs.describe(name, size)}: the suite's {tool.name} tool differs "
                              f"by {apart}")
                cases.append(dict(function=function, input=data, output=output))
        (HERE / "expected" / f"{name}.json").write_text(json.dumps(cases, separators=(",", ":")) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", type=pathlib.Path, required=True, help="folder of our programs")
    parser.add_argument("--suite", type=pathlib.Path, help="checkout of GradBench (default: GRADBENCH_SUITE)",
                        default=os.environ.get("GRADBENCH_SUITE"))
    parser.add_argument("--tools", nargs="+", help="only these of the suite's tools")
    parser.add_argument("--python", default=sys.executable, help="interpreter for the suite's PyTorch and JAX tools")
    parser.add_argument("--rounds", type=int, default=1, help="how often everything runs, in turns")
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)), help="the core to run on")
    parser.add_argument("--evals", nargs="+", default=list(inputs.FUNCTIONS), choices=list(inputs.FUNCTIONS))
    parser.add_argument("--sizes", choices=list(inputs.SIZES), default="large")
    parser.add_argument("--seconds", type=float, default=0.5, help="least time of a measurement")
    parser.add_argument("--timeout", type=float, default=120, help="seconds that a tool may take for one")
    parser.add_argument("--csv", type=argparse.FileType("w"))
    parser.add_argument("--write-expected", action="store_true", help="write expected/ and stop")
    args = parser.parse_args()
    args.programs = args.programs.resolve()
    args.suite = args.suite.resolve() if args.suite else None
    os.sched_setaffinity(0, {args.core})

    with tempfile.TemporaryDirectory() as shim:
        (pathlib.Path(shim) / "json.hpp").write_text("#include <nlohmann/json.hpp>\n")
        found = tools(args, shim)
        if args.write_expected:
            return write_expected(args, found)
        failed = compare(args, found)
    sys.exit(1 if failed else 0)


def measure(args, found, name, derivative, data, path):
    """tool -> times of objective and derivative in microseconds, how far the answers are from the reference."""
    objective = inputs.FUNCTIONS[name][0]
    row = {}
    for number in range(args.rounds):
        for tool in found[number % len(found):] + found[:number % len(found)]:
            answers = [tool.run(name, f, path, args.timeout) if f else None for f in (objective, derivative)]
            if answers[1] is None:
                continue
            apart = max(check(name, f, data, a[0]) for f, a in zip((objective, derivative), answers) if a)
            times = [a[1] if a else None for a in answers]
            if tool.name in row:
                old = row[tool.name]
                times, apart = [min(pair) if pair[0] else None for pair in zip(times, old[:2])], max(apart, old[2])
            row[tool.name] = *times, apart
    return row


def cell(measured, fastest):
    if measured is None:
        return ""
    objective, derivative, apart = measured
    digits = ".2f" if derivative < 10 else ",.0f"
    text = f"{derivative:{digits}}"
    if objective:
        text = f"{objective:{digits}} / {text} ({derivative / objective:.1f})"
    return (f"**{text}**" if fastest else text) + ("" if apart <= TOLERANCE else " WRONG")


def compare(args, found):
    failed = []
    if args.csv:
        print("eval,size,tool,function,objective_us,gradient_us,difference", file=args.csv)
    print("microseconds, fastest run: objective / gradient (ratio); a difference of "
          f"{TOLERANCE:g} from the reference is WRONG, and a failure of ours\n")
    header = ["", *(tool.name for tool in found)]
    print("| " + " | ".join(header) + " |\n|" + "---|" * len(header), flush=True)
    for name in args.evals:
        derivatives = inputs.FUNCTIONS[name][1]
        for size in inputs.SIZES[args.sizes][name]:
            data = inputs.make(name, size)
            timed = data if name == "hello" else data | {"min_runs": 3, "min_seconds": args.seconds}
            with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
                json.dump(timed, file)
                file.flush()
                for derivative in derivatives.split():
                    which = derivative if " " in derivatives else ""
                    label = " ".join(f"{name} {which} {inputs.describe(name, size)}".split())
                    row = measure(args, found, name, derivative, data, file.name)
                    if not row["wengert"][2] <= TOLERANCE:
                        failed.append(label)
                    fastest = min(row, key=lambda tool: row[tool][1])
                    cells = [cell(row.get(tool.name), tool.name == fastest) for tool in found]
                    print(f"| {label} | " + " | ".join(cells) + " |", flush=True)
                    if args.csv:
                        for tool, (first, second, apart) in row.items():
                            print(name, inputs.describe(name, size), tool, derivative, first or "", second, apart,
                                  sep=",", file=args.csv, flush=True)
    if failed:
        print("failed:", ", ".join(failed))
    return failed


if __name__ == "__main__":
    main()

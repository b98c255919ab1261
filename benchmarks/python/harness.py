"""The rows' data, as benchmarks/common/data.cpp makes it, and as much of Google Benchmark's command line and output as
compare needs: --benchmark_list_tests, --benchmark_filter=^ROW$, --benchmark_repetitions=N, --benchmark_min_time=S."""

import json
import time

import numpy as np

GOLDEN, M1, M2 = (np.uint64(x) for x in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


def uniforms(count, seed):
    """SplitMix64, whose states are an arithmetic sequence."""
    with np.errstate(over="ignore"):
        z = np.uint64(seed) * GOLDEN + np.uint64(1) + np.arange(1, count + 1, dtype=np.uint64) * GOLDEN
        z = (z ^ (z >> np.uint64(30))) * M1
        z = (z ^ (z >> np.uint64(27))) * M2
        z ^= z >> np.uint64(31)
    return ((z >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53


def normals(shape, seed, scale=1.0):
    """Box-Muller."""
    count = int(np.prod(shape))
    u = uniforms(count + count % 2, seed).reshape(-1, 2)
    radius, angle = scale * np.sqrt(-2 * np.log(u[:, 0])), 2 * np.pi * u[:, 1]
    both = np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)
    return both.reshape(-1)[:count].astype(np.float32).reshape(shape)


def integers(count, bound, seed):
    return (uniforms(count, seed) * bound).astype(np.int64)


# sizes, batch, activation, optimizer, learning rate
CLASSIFIERS = {
    "W2": ([40, 100, 100, 10], 100, "relu", "sgd", 1e-3),
    "W3a": ([784, 128, 10], 64, "tanh", "adam", 1e-4),
    "W3b": ([784, 512, 512, 10], 128, "relu", "adam", 1e-4),
    "W4": ([1024, 2048, 2048, 2048, 1000], 256, "relu", "sgd", 1e-2),
}


def classifier_data(sizes, batch):
    """x, labels, parameters (weights and biases in turn), and a direction in their space."""
    def seed(layer, what):
        return sizes[0] * 1000 + layer * 10 + what

    parameters, direction = [], []
    for l, (i, o) in enumerate(zip(sizes, sizes[1:])):
        parameters += [normals((i, o), seed(l, 3), (2.0 / i) ** 0.5), normals((o,), seed(l, 4), 0.1)]
        direction += [normals((i, o), seed(l, 5)), normals((o,), seed(l, 6))]
    return normals((batch, sizes[0]), seed(0, 1)), integers(batch, sizes[-1], seed(0, 2)), parameters, direction


def pattern(count):
    """The fixed pattern that results are projected on; its generator is advanced in strides that double."""
    index = np.array([1013904223], dtype=np.uint32)
    a, c = 1664525, 1013904223
    while len(index) < count:
        index = np.concatenate([index, index * np.uint32(a) + np.uint32(c)])
        a, c = a * a % 2**32, (a * c + c) % 2**32
    return (index[:count] >> np.uint32(8)).astype(np.float64) * 2.0**-24 - 0.5


def checksum(arrays):
    """Euclidean norm and projection."""
    values = np.concatenate([np.asarray(a, dtype=np.float64).reshape(-1) for a in arrays])
    return float(np.sqrt(values @ values)), float(values @ pattern(len(values)))


def result(output, gradients):
    """What the rows without an update report."""
    norm, projection = checksum(gradients)
    output = np.asarray(output)
    return float(output) if output.size == 1 else checksum([output])[1], norm, projection


def peak_mb():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 / 1e6 for line in status if line.startswith("VmHWM"))


def run(name, row, repetitions, min_time, wait):
    """One row: checked steps, then batches at least min_time long. `wait` returns when all work is done."""
    for _ in range(row.checked_steps):
        row.step()
    loss, norm, projection = row.result()
    with open("/proc/self/clear_refs", "w") as refs:
        refs.write("5")

    def batch(count):
        row.reset()
        wait()
        real, cpu = time.perf_counter(), time.process_time()
        for _ in range(count):
            row.step()
        wait()
        return time.perf_counter() - real, time.process_time() - cpu

    count, taken = 1, batch(1)[0]
    while taken < min_time:
        count = max(count + 1, int(min(10.0, 1.2 * min_time / max(taken, 1e-9)) * count))
        taken = batch(count)[0]
    entries = []
    for _ in range(repetitions):
        real, cpu = batch(count)
        entries.append({"name": name, "run_type": "iteration", "iterations": count, "time_unit": "us",
                        "real_time": real * 1e6 / count, "cpu_time": cpu * 1e6 / count, "loss": loss, "norm": norm,
                        "projection": projection, "peak_rss_mb": peak_mb()})
    return entries


def main(arguments, context, rows, wait):
    """`rows`: names and functions that set a row up; a row has step(), reset(), result(), checked_steps."""
    options = dict(a.removeprefix("--benchmark_").split("=", 1) for a in arguments if "=" in a)
    if "list_tests" in options:
        print("\n".join(rows))
        return
    wanted = options["filter"].removeprefix("^").removesuffix("$")
    chosen = [wanted] if wanted in rows else []
    entries = [e for name in chosen for e in run(name, rows[name](), int(options.get("repetitions", 1)),
                                                 float(options.get("min_time", 0.5)), wait)]
    print(json.dumps({"context": context, "benchmarks": entries}))

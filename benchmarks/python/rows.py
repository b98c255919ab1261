#!/usr/bin/env python3
"""The comparison's rows as a Python program would have them:

    rows.py pytorch|torch_compile|jax --benchmark_filter=^W2$ --benchmark_repetitions=7 --benchmark_min_time=0.1

compare --python INTERPRETER runs it. The models are written once, with the names that PyTorch and JAX share; what is
idiomatic in each (fused updates, addmm, donated buffers, a scan in place of a long loop) stands in engines.py.
"""

import os
import sys

# Before anything that reads them is imported.
THREADS = int(os.environ.setdefault("OMP_NUM_THREADS", "1"))
if THREADS == 1:
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import engines  # noqa: E402
import harness  # noqa: E402
import numpy as np  # noqa: E402
from harness import normals  # noqa: E402

ENGINES = {"pytorch": engines.Torch, "torch_compile": engines.TorchCompile, "jax": engines.Jax}


class Training:
    """A model whose parameters are trained; reports how far they moved in three steps."""

    checked_steps = 3

    def __init__(self, engine, loss, parameters, data, optimizer, rate):
        self.start = parameters
        self.engine, self.model = engine, engine.training(loss, parameters, data, optimizer, rate)
        self.step, self.reset = self.model.step, self.model.reset

    def result(self):
        moved = [np.asarray(now, dtype=np.float64) - start for now, start in zip(self.model.parameters(), self.start)]
        return float(self.model.loss), *harness.checksum(moved)


class Derivatives:
    """A function's value and its gradients: `step` is from the engine."""

    checked_steps = 1

    def __init__(self, engine, compute, compared=slice(None)):
        self.engine, self.compute, self.compared, self.last = engine, compute, compared, None

    def step(self):
        self.last = self.engine.pending = None  # dropped, as in a loop whose results go out of scope
        self.last = self.engine.pending = self.compute()

    def reset(self):
        pass

    def result(self):
        value, gradients = self.last
        return harness.result(self.engine.numpy(value), [self.engine.numpy(g) for g in gradients][self.compared])


def network(e, activation):
    def loss(parameters, x, labels):
        for l in range(0, len(parameters), 2):
            x = e.linear(x, parameters[l], parameters[l + 1])
            if l + 2 < len(parameters):
                x = e.relu(x) if activation == "relu" else e.tanh(x)
        return e.cross_entropy(x, labels)
    return loss


def classifier_row(e, name):
    sizes, batch, activation, optimizer, rate = harness.CLASSIFIERS[name]
    x, labels, parameters, _ = harness.classifier_data(sizes, batch)
    return Training(e, network(e, activation), parameters, [x, labels], optimizer, rate)


def xor(e):
    def loss(p, x, t):
        hidden = e.tanh(e.linear(x, p[0], p[1]))
        y = e.sigmoid(e.linear(hidden, p[2], p[3]))
        return -e.mean(t * e.log(y) + (1 - t) * e.log(1 - y))

    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=np.float32)
    t = np.array([[0], [1], [1], [0]], dtype=np.float32)
    parameters = [normals((2, 3), 11), normals((3,), 12), normals((3, 1), 13), normals((1,), 14)]
    return Training(e, loss, parameters, [x, t], "sgd", 1e-3)


def focal(e):
    rows, classes = 4096, 1000
    one_hot = np.zeros((rows, classes), dtype=np.float32)
    one_hot[np.arange(rows), harness.integers(rows, classes, 52)] = 1

    def loss(logits, labels):
        log_p = e.log_softmax(logits, -1)
        return -e.mean(e.sum(e.square(1 - e.exp(log_p)) * log_p * labels, -1))
    return Derivatives(e, e.gradients(loss, [normals((rows, classes), 51)], [one_hot]))


def chain(e, width):
    a, b = np.full(width, -1, np.float32), (1 + np.arange(width) / 128).astype(np.float32)

    def f(x, a, b):
        return e.sum(e.chain(x, a, b, 100_000))
    return Derivatives(e, e.gradients(f, [normals((width,), 61)], [a, b]))


def formula(e):
    def f(x):
        return e.sum(e.tanh(x) * e.exp(-x * x) + e.sigmoid(x) * x)
    return Derivatives(e, e.gradients(f, [normals((2**20,), 71)], []))


def hessian_vector(e):
    sizes, batch, activation, _, _ = harness.CLASSIFIERS["W2"]
    x, labels, parameters, direction = harness.classifier_data(sizes, batch)
    return Derivatives(e, e.hessian_vector(network(e, activation), parameters, direction, [x, labels]))


def operator(e, f, wrt, cotangent, constants=(), compared=slice(None)):
    return Derivatives(e, e.gradients(f, wrt, list(constants), cotangent), compared)


def rows(e):
    logits, square = (1024, 1000), (512, 512)
    found = {"W1": lambda: xor(e)}
    found |= {name: lambda name=name: classifier_row(e, name) for name in harness.CLASSIFIERS}
    found |= {
        "W5": lambda: focal(e),
        "W7": lambda: formula(e),
        "W8": lambda: hessian_vector(e),
        "W9/log_softmax": lambda: operator(e, lambda x: e.log_softmax(x, -1), [normals(logits, 91)],
                                           normals(logits, 92)),
        "W9/matmul": lambda: operator(e, lambda a, b: a @ b, [normals(square, 93), normals(square, 94)],
                                      normals(square, 95)),
        # the bias's gradient only: the other is the cotangent itself
        "W9/bias": lambda: operator(e, lambda a, b: a + b, [normals((1024, 1024), 96), normals((1024,), 97)],
                                    normals((1024, 1024), 98), compared=slice(1, 2)),
        "W9/sum_axis_0": lambda: operator(e, lambda x: e.sum(x, 0), [normals((2048, 2048), 99)], normals((2048,), 100)),
        "W9/sum_axis_1": lambda: operator(e, lambda x: e.sum(x, 1), [normals((2048, 2048), 99)], normals((2048,), 100)),
        "W9/gather": lambda: operator(e, e.rows_of, [normals((50_000, 64), 102)], normals((4096, 64), 103),
                                      [harness.integers(4096, 50_000, 101)]),
    }
    if e.chain:
        found |= {"W6/1": lambda: chain(e, 1), "W6/64": lambda: chain(e, 64)}
    return found


if __name__ == "__main__":
    engine = ENGINES[sys.argv[1]](THREADS)
    harness.main(sys.argv[2:], {"competitor": sys.argv[1], "version": engine.version}, rows(engine), engine.wait)

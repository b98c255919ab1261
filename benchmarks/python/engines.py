"""PyTorch, eager and compiled, and JAX behind one set of names. Each imports its package when it is made."""

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


class Torch:
    """Eager: fused operators and updates where PyTorch has them."""

    def __init__(self, threads):
        import torch
        torch.set_num_threads(threads)
        self.torch, self.version, self.pending = torch, torch.__version__, None
        for name in "tanh relu sigmoid exp log square sum mean log_softmax".split():
            setattr(self, name, getattr(torch, name))
        self.cross_entropy = torch.nn.functional.cross_entropy

    def linear(self, x, w, b):
        return self.torch.addmm(b, x, w)

    def rows_of(self, table, picked):
        return self.torch.nn.functional.embedding(picked, table)

    def chain(self, x, a, b, steps):
        for _ in range(steps):
            x = x * a + b
        return x

    def wait(self):
        pass

    def numpy(self, t):
        return t.detach().numpy()

    def tensors(self, arrays, variable=False):
        return [self.torch.tensor(a, requires_grad=variable) for a in arrays]

    def training(self, loss, parameters, data, optimizer, rate):
        return TorchTraining(self.torch, loss, self.tensors(parameters, True), self.tensors(data), optimizer, rate)

    def gradients(self, f, wrt, constants, cotangent=None):
        wrt, constants = self.tensors(wrt, True), self.tensors(constants)
        cotangent = None if cotangent is None else self.torch.tensor(cotangent)

        def compute():
            y = f(*wrt, *constants)
            return y, self.torch.autograd.grad(y, wrt, cotangent)
        return compute

    def hessian_vector(self, loss, parameters, direction, data):
        parameters, direction, data = self.tensors(parameters, True), self.tensors(direction), self.tensors(data)

        def compute():
            value = loss(parameters, *data)
            first = self.torch.autograd.grad(value, parameters, create_graph=True)
            return value, self.torch.autograd.grad(first, parameters, direction)
        return compute


class TorchTraining:
    def __init__(self, torch, loss, parameters, data, optimizer, rate):
        self.torch, self.f, self.p, self.data, self.rate = torch, loss, parameters, data, rate
        self.start = [p.detach().clone() for p in parameters]
        self.adam = None
        if optimizer == "adam":
            self.adam = torch.optim.Adam(parameters, lr=rate, betas=(BETA1, BETA2), eps=EPSILON, fused=True)

    def step(self):
        loss = self.f(self.p, *self.data)
        gradients = self.torch.autograd.grad(loss, self.p)
        if self.adam:
            for p, g in zip(self.p, gradients):
                p.grad = g
            self.adam.step()
        else:
            with self.torch.no_grad():
                self.torch._foreach_add_(self.p, gradients, alpha=-self.rate)
        self.loss = loss.detach()

    def reset(self):
        with self.torch.no_grad():
            for p, start in zip(self.p, self.start):
                p.copy_(start)

    def parameters(self):
        return [p.detach().numpy() for p in self.p]


class TorchCompile(Torch):
    """The whole step, with its derivatives and updates, as one compiled function."""

    chain = None  # a loop is compiled step by step, all 100,000 of them: longer than anybody waits

    def compiled(self, f):
        return self.torch.compile(f, fullgraph=True)

    def training(self, loss, parameters, data, optimizer, rate):
        return TorchCompiledTraining(self, loss, self.tensors(parameters), self.tensors(data), optimizer, rate)

    def gradients(self, f, wrt, constants, cotangent=None):
        wrt, constants = self.tensors(wrt), self.tensors(constants)
        cotangent = self.torch.tensor(1.0 if cotangent is None else cotangent)

        def compute(wrt, constants, cotangent):
            y, pullback = self.torch.func.vjp(lambda *wrt: f(*wrt, *constants), *wrt)
            return y, pullback(cotangent)
        step = self.compiled(compute)
        return lambda: step(wrt, constants, cotangent)

    def hessian_vector(self, loss, parameters, direction, data):
        parameters, direction, data = self.tensors(parameters), self.tensors(direction), self.tensors(data)
        func = self.torch.func

        def compute(parameters, direction, data):
            gradient = func.grad_and_value(lambda p: loss(p, *data))
            (_, value), (products, _) = func.jvp(gradient, (parameters,), (direction,))
            return value, products
        step = self.compiled(compute)
        return lambda: step(parameters, direction, data)


class TorchCompiledTraining(TorchTraining):
    def __init__(self, engine, loss, parameters, data, optimizer, rate):
        super().__init__(engine.torch, loss, parameters, data, "", rate)
        torch = engine.torch
        moments = [torch.zeros_like(p) for p in parameters], [torch.zeros_like(p) for p in parameters]
        time = torch.zeros(())

        def step(parameters, moments, time, data):
            gradients, value = torch.func.grad_and_value(lambda p: loss(p, *data))(parameters)
            if optimizer == "sgd":
                for p, g in zip(parameters, gradients):
                    p.sub_(g, alpha=rate)
                return value
            time.add_(1)
            size, root = rate / (1 - BETA1**time), (1 - BETA2**time).sqrt()
            for p, g, m, v in zip(parameters, gradients, *moments):
                m.mul_(BETA1).add_(g, alpha=1 - BETA1)
                v.mul_(BETA2).addcmul_(g, g, value=1 - BETA2)
                p.sub_(size * m / (v.sqrt() / root + EPSILON))
            return value
        self.all = parameters, moments, time, data
        self.compiled = engine.compiled(step)

    def step(self):
        with self.torch.no_grad():
            self.loss = self.compiled(*self.all)


class Jax:
    """Jitted, with donated buffers; a long loop is a scan. wait() ends a batch, not every step."""

    def __init__(self, threads):
        import jax
        import jax.numpy as jnp
        self.jax, self.np, self.version, self.pending = jax, jnp, jax.__version__, None
        for name in "tanh exp log square sum mean".split():
            setattr(self, name, getattr(jnp, name))
        for name in "relu sigmoid log_softmax".split():
            setattr(self, name, getattr(jax.nn, name))

    def linear(self, x, w, b):
        return x @ w + b

    def cross_entropy(self, x, labels):
        return -self.np.mean(self.np.take_along_axis(self.log_softmax(x, -1), labels[:, None], 1))

    def rows_of(self, table, picked):
        return self.np.take(table, picked, axis=0)

    def chain(self, x, a, b, steps):
        return self.jax.lax.scan(lambda x, _: (x * a + b, None), x, None, length=steps)[0]

    def wait(self):
        self.jax.block_until_ready(self.pending)

    def numpy(self, t):
        import numpy
        return numpy.asarray(t)

    def arrays(self, arrays):
        return [self.np.array(a) for a in arrays]

    def training(self, loss, parameters, data, optimizer, rate):
        return JaxTraining(self, loss, parameters, self.arrays(data), optimizer, rate)

    def gradients(self, f, wrt, constants, cotangent=None):
        def compute(wrt, constants, cotangent):
            y, pullback = self.jax.vjp(lambda *wrt: f(*wrt, *constants), *wrt)
            return y, pullback(cotangent)
        step, wrt, constants = self.jax.jit(compute), self.arrays(wrt), self.arrays(constants)
        cotangent = self.np.array(1.0 if cotangent is None else cotangent, dtype=self.np.float32)
        return lambda: step(wrt, constants, cotangent)

    def hessian_vector(self, loss, parameters, direction, data):
        def compute(parameters, direction, data):
            gradient = self.jax.value_and_grad(lambda p: loss(p, *data))
            (value, _), (_, products) = self.jax.jvp(gradient, (parameters,), (direction,))
            return value, products
        step = self.jax.jit(compute)
        parameters, direction, data = self.arrays(parameters), self.arrays(direction), self.arrays(data)
        return lambda: step(parameters, direction, data)


class JaxTraining:
    def __init__(self, engine, loss, parameters, data, optimizer, rate):
        jax, np = engine.jax, engine.np

        def step(state, data):
            parameters, first, second, time = state
            value, gradients = jax.value_and_grad(loss)(parameters, *data)
            if optimizer == "sgd":
                parameters = [p - rate * g for p, g in zip(parameters, gradients)]
            else:
                time = time + 1
                first = [BETA1 * m + (1 - BETA1) * g for m, g in zip(first, gradients)]
                second = [BETA2 * v + (1 - BETA2) * g * g for v, g in zip(second, gradients)]
                size, root = rate / (1 - BETA1**time), np.sqrt(1 - BETA2**time)
                parameters = [p - size * m / (np.sqrt(v) / root + EPSILON)
                              for p, m, v in zip(parameters, first, second)]
            return (parameters, first, second, time), value
        self.compiled = jax.jit(step, donate_argnums=0)
        self.engine, self.data, self.start = engine, data, parameters
        moments = [[np.zeros_like(p) for p in parameters] if optimizer == "adam" else [] for _ in range(2)]
        self.state = engine.arrays(parameters), *moments, np.zeros(())

    def step(self):
        self.state, self.loss = self.compiled(self.state, self.data)
        self.engine.pending = self.state

    def reset(self):
        self.state = self.engine.arrays(self.start), *self.state[1:]
        self.engine.pending = self.state

    def parameters(self):
        return self.state[0]

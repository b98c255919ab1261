"""The evals' functions in NumPy, for inputs that may be complex, and inputs of any size.

Nothing here shares a line or a formula's form with the C++ programs. A derivative is a complex step (W. Squire,
G. Trapp, Using complex variables to estimate derivatives of real functions, SIAM Review 40(1), 1998): the imaginary
part of f(x + i h v) over h, exact to rounding for an h of 1e-30.
"""

import math

import numpy as np

STEP = 1e-30


def nearest(points, centroids):
    return np.array([np.argmin(((p - centroids.real) ** 2).sum(1)) for p in points])


def logsumexp(x, axis):
    shift = x.real.max(axis=axis, keepdims=True)
    return np.log(np.exp(x - shift).sum(axis=axis)) + shift.squeeze(axis)


# Every eval: the names of the independent variables, in the order of the answer, and f(input, variables).


def gmm(data, v):
    d, k, n, m, gamma = (data[key] for key in ("d", "k", "n", "m", "gamma"))
    x = np.array(data["x"]).reshape(n, d)
    degrees = d + m + 1
    terms, prior = [], 0
    for i in range(k):
        factor = np.zeros((d, d), complex)
        factor[np.tril_indices(d)] = 0
        upper = np.triu_indices(d, 1)  # row by row above the diagonal is column by column below it
        factor.T[upper] = v["l"][i]
        factor[np.diag_indices(d)] = np.exp(v["q"][i])
        y = (x - v["mu"][i]) @ factor.T
        terms.append(v["alpha"][i] + v["q"][i].sum() - 0.5 * (y * y).sum(1))
        multigamma = d * (d - 1) / 4 * math.log(math.pi) + sum(
            math.lgamma((degrees - j) / 2) for j in range(d)
        )
        prior += degrees * d * math.log(gamma / math.sqrt(2)) - multigamma
        prior += m * v["q"][i].sum() - 0.5 * gamma**2 * (factor * factor).sum()
    likelihood = logsumexp(np.array(terms), 0).sum() - n * logsumexp(v["alpha"], 0)
    return likelihood + prior - 0.5 * n * d * math.log(2 * math.pi)


def lstm(data, v):
    def sigmoid(z):
        return 1 / (1 + np.exp(-z))

    main, extra = v["main_params"], v["extra_params"]
    state = np.array(data["state"], complex)
    sequence = np.array(data["sequence"])
    b = extra.shape[1]
    total = 0
    for now, target in zip(sequence[:-1], sequence[1:]):
        x = now * extra[0]
        for layer in range(len(main) // 2):
            hidden, cell = state[2 * layer].copy(), state[2 * layer + 1]
            gates = np.concatenate([x, hidden, x, hidden]) * main[2 * layer] + main[2 * layer + 1]
            state[2 * layer + 1] = cell * sigmoid(gates[:b]) + sigmoid(gates[b : 2 * b]) * np.tanh(gates[3 * b :])
            x = state[2 * layer] = sigmoid(gates[2 * b : 3 * b]) * np.tanh(state[2 * layer + 1])
        y = x * extra[1] + extra[2]
        total += (target * (y - np.log(np.exp(y).sum() + 2))).sum()
    return -total / ((len(sequence) - 1) * b)


def kmeans(data, v):
    points = np.array(data["points"])
    return ((points - v["centroids"][nearest(points, v["centroids"])]) ** 2).sum()


def lse(data, v):
    return logsumexp(v["x"], 0)


def llsq(data, v):
    n = data["n"]
    t = -1 + 2 * np.arange(n) / (n - 1)
    return 0.5 * ((np.sign(t) - np.polynomial.polynomial.polyval(t, v["x"])) ** 2).sum()


def ode(data, v):
    x, steps = v["x"], data["s"]
    y = np.zeros(len(x), complex)

    def slope(at):
        return x * np.concatenate([[1], at[:-1]])

    h = 2 / steps
    for _ in range(steps):
        k1 = slope(y)
        k2 = slope(y + h / 2 * k1)
        k3 = slope(y + h / 2 * k2)
        k4 = slope(y + h * k3)
        y = y + h * (k1 + 2 * k2 + 2 * k3 + k4) / 6
    return y


def det(data, v):
    return np.linalg.det(v["A"].reshape(data["ell"], data["ell"]))


def ba(data, v):
    """One observation: all are the same."""
    p = v["observation"]
    r, position, w = p[:3], p[11:14] - p[3:6], p[14]
    angle = np.sqrt((r * r).sum())
    axis = r / angle
    turned = position * np.cos(angle) + np.cross(axis, position) * np.sin(angle)
    turned = turned + axis * (axis * position).sum() * (1 - np.cos(angle))
    flat = turned[:2] / turned[2]
    r2 = (flat * flat).sum()
    projected = flat * (1 + p[9] * r2 + p[10] * r2 * r2) * p[6] + p[7:9]
    return np.concatenate([w * (projected - np.array(data["feat"])), [1 - w * w]])


def ht(data, v):
    def turn(axis, angle):
        m = np.eye(3, dtype=complex)
        i, j = [(1, 2), (2, 0), (0, 1)][axis]
        m[i, i] = m[j, j] = np.cos(angle)
        m[j, i] = np.sin(angle)
        m[i, j] = -m[j, i]
        return m

    theta, model, measured = v["theta"], data["data"]["model"], data["data"]
    bones = len(model["parents"])
    angles = np.zeros((bones, 3), complex)
    moving = iter(theta[6:])
    for finger in range(5):
        for joint in range(2, 5):
            angles[4 * finger + joint, 0] = next(moving)
            if joint == 2:
                angles[4 * finger + joint, 1] = next(moving)
    base = np.array(model["base_positions"])
    weights = np.array(model["weights"])
    absolutes, vertices = [], np.zeros((len(base), 3), complex)
    for bone, parent in enumerate(model["parents"]):
        relative = np.eye(4, dtype=complex)
        x, z, y = angles[bone]
        relative[:3, :3] = turn(2, z) @ turn(1, y) @ turn(0, x)
        relative = np.array(model["base_relatives"][bone]) @ relative
        absolutes.append(relative if parent == -1 else absolutes[parent] @ relative)
        transform = absolutes[-1] @ np.array(model["inverse_base_absolutes"][bone])
        vertices += weights[:, bone : bone + 1] * (base @ transform.T)[:, :3]
    if model["is_mirrored"]:
        vertices[:, 0] *= -1
    angle = np.sqrt((theta[:3] ** 2).sum())
    if angle.real >= 1e-4:
        a = theta[:3] / angle
        skew = np.array([[0, -a[2], a[1]], [a[2], 0, -a[0]], [-a[1], a[0], 0]])
        rotation = np.eye(3) + np.sin(angle) * skew + (1 - np.cos(angle)) * (skew @ skew)
        vertices = vertices @ rotation.T
    vertices = vertices + theta[3:6]
    points, chosen = np.array(measured["points"]), np.array(measured["correspondences"])
    if not len(data["us"]):
        return (points - vertices[chosen]).reshape(-1)
    corners = np.array(model["triangles"])[chosen]
    u = np.array(data["us"]) + v["shift"]
    place = u[:, :1] * vertices[corners[:, 0]] + u[:, 1:] * vertices[corners[:, 1]]
    return (points - place - (1 - u.sum(1, keepdims=True)) * vertices[corners[:, 2]]).reshape(-1)


FUNCTIONS = {f.__name__: f for f in (gmm, lstm, kmeans, lse, llsq, ode, det, ba, ht)}

VARIABLES = {
    "gmm": ("alpha", "mu", "q", "l"),
    "lstm": ("main_params", "extra_params"),
    "kmeans": ("centroids",),
    "lse": ("x",),
    "llsq": ("x",),
    "ode": ("x",),
    "det": ("A",),
    "ba": ("observation",),
    "ht": ("shift", "theta"),
}


def variables(name, data):
    """The independent variables as complex arrays."""
    if name == "ba":
        values = {"observation": [*data["cam"], *data["x"], data["w"]]}
    elif name == "ht":
        values = {"shift": np.zeros(2 if len(data["us"]) else 0), "theta": data["theta"]}
    else:
        values = {key: data[key] for key in VARIABLES[name]}
    return {key: np.array(value, complex) for key, value in values.items()}


def value(name, data):
    return FUNCTIONS[name](data, variables(name, data)).real


def directional(name, data, direction):
    """The derivative along a direction, given as one vector over all variables in order."""
    v, at = variables(name, data), 0
    for key in v:
        v[key] = v[key] + 1j * STEP * direction[at : at + v[key].size].reshape(v[key].shape)
        at += v[key].size
    return FUNCTIONS[name](data, v).imag / STEP


def size(name, data):
    return sum(x.size for x in variables(name, data).values())

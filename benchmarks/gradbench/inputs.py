"""Inputs of the evals, with the distributions and sizes that the suite's Python evals use (0.1 of GradBench,
python/gradbench/gradbench/evals/*/run.py), seeded. Hand models are random: the suite's belong to ADBench."""

import numpy as np

# eval -> function of the objective, function of the derivative
FUNCTIONS = {
    "hello": ("square", "double"),
    "gmm": ("objective", "jacobian"),
    "lstm": ("objective", "jacobian"),
    "kmeans": ("cost", "dir"),
    "lse": ("primal", "gradient"),
    "llsq": ("primal", "gradient"),
    "ode": ("primal", "gradient"),
    "det": ("primal", "gradient"),
    "particle": (None, "rr rf fr ff"),
    "saddle": (None, "rr rf fr ff"),
    "ba": ("objective", "jacobian"),
    "ht": ("objective", "jacobian"),
}

SIZES = {
    "small": {
        "hello": [{}],
        "gmm": [dict(d=2, k=3, n=5, m=0), dict(d=1, k=2, n=4, m=2), dict(d=4, k=2, n=6, m=1)],
        "lstm": [dict(l=2, c=5, b=3)],
        "kmeans": [dict(k=3, n=12, d=2)],
        "lse": [dict(n=7)],
        "llsq": [dict(n=9, m=4), dict(n=4, m=1)],
        "ode": [dict(n=4, s=3), dict(n=1, s=2)],
        "det": [dict(ell=1), dict(ell=2), dict(ell=5)],
        "particle": [{}],
        "saddle": [{}],
        "ba": [dict(n=2, m=3, p=12)],
        "ht": [dict(vertices=9, n=4, us=False), dict(vertices=9, n=4, us=True)],
    },
    "large": {
        "hello": [{}],
        "gmm": [dict(d=10, k=5), dict(d=32, k=5), dict(d=10, k=25), dict(d=32, k=25)],
        "lstm": [dict(l=2, c=1024), dict(l=4, c=4096)],
        "kmeans": [dict(k=10, n=1000, d=8), dict(k=100, n=1000, d=8), dict(k=1000, n=10000, d=8)],
        "lse": [dict(n=10000), dict(n=160000), dict(n=1280000)],
        "llsq": [dict(n=128, m=128), dict(n=4096, m=128)],
        "ode": [dict(n=1000, s=10), dict(n=1000, s=100), dict(n=100000, s=10)],
        "det": [dict(ell=6), dict(ell=8), dict(ell=10)],
        "particle": [{}],
        "saddle": [{}],
        "ba": [dict(n=49, m=7776, p=31843), dict(n=257, m=65132, p=225911)],
        "ht": [dict(vertices=544, n=100, us=False), dict(vertices=544, n=800, us=True),
               dict(vertices=10000, n=6400, us=True)],
    },
}


def make(name, size):
    rng = np.random.default_rng(31337)

    s = dict(size)
    digits = 4 if size in SIZES["small"][name] else 17  # small inputs are kept in files

    def uniform(*shape):
        return rng.random(shape).round(digits).tolist()

    def normal(*shape):
        return rng.normal(size=shape).round(digits).tolist()
    if name == "hello":
        return 3.5
    if name == "gmm":
        d, k, n = s["d"], s["k"], s.get("n", 1000)
        return dict(d=d, k=k, n=n, m=s.get("m", 0), gamma=1.0, x=normal(n, d), alpha=normal(k), mu=uniform(k, d),
                    q=normal(k, d), l=normal(k, d * (d - 1) // 2))
    if name == "lstm":
        l, c, b = s["l"], s["c"], s.get("b", 14)
        return dict(main_params=uniform(2 * l, 4 * b), extra_params=uniform(3, b), state=uniform(2 * l, b),
                    sequence=rng.integers(0, 2, (c, b)).astype(float).tolist())
    if name == "kmeans":
        points = uniform(s["n"], s["d"])
        return dict(points=points, centroids=points[-s["k"]:])
    if name == "lse":
        return dict(x=uniform(s["n"]))
    if name == "llsq":
        return dict(x=uniform(s["m"]), n=s["n"])
    if name == "ode":
        return dict(x=uniform(s["n"]), s=s["s"])
    if name == "det":
        return dict(A=uniform(s["ell"] ** 2), ell=s["ell"])
    if name == "particle":
        return dict(w=0.0, min_runs=1)
    if name == "saddle":
        return dict(start=[1.0, 1.0], min_runs=1)
    if name == "ba":
        cam = [-0.76, -1.11, -0.85, 34.6, 39.7, 53.9, 419.2, 5.9, -8.5, 0.088, 0.0027]
        return dict(s, cam=cam, x=[7.2, 0.0011, 3.0], w=0.417, feat=[271.8, 834.2])
    if name == "ht":
        vertices, n = s["vertices"], s["n"]
        parents = [-1] + [0 if i % 4 == 1 else i - 1 for i in range(1, 21)] + [0]
        bones = len(parents)

        def transforms():
            t = np.tile(np.eye(4), (bones, 1, 1))
            t[:, :3, :] += np.array(normal(bones, 3, 4)) / 4
            return t.round(digits).tolist()

        weights = rng.random((vertices, bones)) * (rng.random((vertices, bones)) < 0.2) + 1e-3
        weights /= weights.sum(1, keepdims=True)
        triangles = rng.integers(0, vertices, (2 * vertices, 3)).tolist()
        model = dict(bone_count=bones, bone_names=[f"bone{i}" for i in range(bones)], parents=parents,
                     base_relatives=transforms(), inverse_base_absolutes=transforms(),
                     base_positions=np.hstack([normal(vertices, 3), np.ones((vertices, 1))]).tolist(),
                     weights=weights.round(digits).tolist(), triangles=triangles, is_mirrored=False)
        limit = len(triangles) if s["us"] else vertices
        return dict(theta=normal(26), us=uniform(n, 2) if s["us"] else [],
                    data=dict(model=model, correspondences=rng.integers(0, limit, n).tolist(), points=normal(n, 3)))
    raise ValueError(name)


def describe(name, size):
    return " ".join(f"{key}={value}" for key, value in size.items())

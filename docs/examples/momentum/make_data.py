"""Write moons.npz: two half moons of 128 points in all for training, and as many for testing."""

import numpy as np


def moons(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return points (n, 2) and their moons (n,), 0 or 1."""
    labels = np.arange(n) % 2
    angles = np.pi * rng.random(n)
    points = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    points[labels == 1] = [1.0, 0.5] - points[labels == 1]
    return points + 0.1 * rng.standard_normal((n, 2)), labels


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    x_train, y_train = moons(128, rng)
    x_test, y_test = moons(128, rng)
    np.savez("moons.npz", x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)

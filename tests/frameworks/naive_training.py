"""The model written down again, step by step and with complex numbers, and its optimiser: what training is held to."""

import jax
import numpy as np

EPSILON = 1e-6


def eigenvalues(entry, recurrence):
    if recurrence == "lru":
        return np.exp(-np.exp(entry["nu_log"]) + 1j * np.exp(entry["theta_log"]))
    return entry["A"][0] + 1j * entry["A"][1]


def normalised(x, mean, var, parameters):
    return (x - mean) / np.sqrt(var + EPSILON) * parameters["scale"] + parameters["bias"]


def layer_norm(z, parameters):
    return normalised(z, z.mean(), ((z - z.mean()) ** 2).mean(), parameters)


def recurrence(entry, u, config):
    """The outputs y of one sequence u (T, d) that has no padding."""
    n = config.d_hidden
    dense = config.recurrence == "dense"
    A = entry["A"] if dense else np.diag(eigenvalues(entry, config.recurrence))
    B = entry["B"] if dense else entry["B"][:n] + 1j * entry["B"][n:]
    C = entry["C"] if dense else entry["C"][:, :n] - 1j * entry["C"][:, n:]
    if config.recurrence == "lru":
        B = np.exp(entry["gamma_log"])[:, None] * B
    h, outputs = np.zeros(n, A.dtype), []
    for step in u:
        h = A @ h + B @ step
        if config.norm == "state-layer-norm" and dense:
            h = layer_norm(h, entry["state_norm"])
        elif config.norm == "state-layer-norm":
            parts = layer_norm(np.concatenate([h.real, h.imag]), entry["state_norm"])
            h = parts[:n] + 1j * parts[n:]
        outputs.append((C @ h).real + entry["D"] * step)
    return np.stack(outputs)


def outputs(parameters, state, sequences, config, readout, *, train=True):
    """What the model makes of sequences, each without padding: tokens (T_i,) or vectors (T_i, d)."""
    encoder = parameters["encoder"]
    encoded = []
    for sequence in sequences:
        if np.ndim(sequence) == 1 and "E" in encoder:
            sequence = encoder["E"][sequence]
        elif np.ndim(sequence) == 1:
            sequence = np.eye(len(encoder["W"]))[sequence]
        encoded.append(sequence @ encoder["W"] + encoder["b"])
    for entry, held in zip(parameters["layers"], state["layers"], strict=True):
        inputs = encoded
        if config.norm == "layer":
            inputs = [np.stack([layer_norm(step, entry["norm"]) for step in x]) for x in encoded]
        elif config.norm != "none":
            steps = np.concatenate(encoded)
            mean, var = (steps.mean(0), steps.var(0)) if train else (held["mean"], held["var"])
            inputs = [normalised(x, mean, var, entry["norm"]) for x in encoded]
        after = []
        for x, u in zip(encoded, inputs, strict=True):
            y = recurrence(entry, u, config)
            y = 0.5 * y * (1 + np.tanh(np.sqrt(2 / np.pi) * (y + 0.044715 * y**3)))
            both = y @ entry["out"]["W"] + entry["out"]["b"]
            value, gate = both[:, : config.d_model], both[:, config.d_model :]
            after.append(x + value / (1 + np.exp(-gate)))
        encoded = after
    read = {"mean": lambda x: x.mean(0), "last": lambda x: x[-1], "steps": lambda x: x}[readout]
    decoder = parameters["decoder"]
    return [read(x) @ decoder["W"] + decoder["b"] for x in encoded]


def cross_entropy(parameters, state, sequences, targets, config, readout):
    logits = outputs(parameters, state, sequences, config, readout)
    return -sum(z[target] - np.log(np.exp(z).sum()) for z, target in zip(logits, targets, strict=True)) / len(logits)


def gradients(function, parameters, h=1e-6):
    """The gradient of a function of a tree by central differences, number by number."""
    leaves, structure = jax.tree.flatten(parameters)
    leaves = [np.array(leaf, np.float64) for leaf in leaves]
    result = [np.empty_like(leaf) for leaf in leaves]
    for leaf, by_leaf in zip(leaves, result, strict=True):
        for index in np.ndindex(leaf.shape):
            value = leaf[index]
            leaf[index] = value + h
            high = function(jax.tree.unflatten(structure, leaves))
            leaf[index] = value - h
            low = function(jax.tree.unflatten(structure, leaves))
            leaf[index] = value
            by_leaf[index] = (high - low) / (2 * h)
    return jax.tree.unflatten(structure, result)


def rate(step, peak, lr_min, warm_up, steps):
    if step < warm_up:
        return peak * (step + 1) / warm_up
    return lr_min + (peak - lr_min) * (1 + np.cos(np.pi * (step - warm_up) / (steps - warm_up))) / 2


class Adam:
    """Adam for A and its like and B, AdamW for all others; in float64."""

    def __init__(self, parameters, train, warm_up, steps):
        self.train, self.warm_up, self.steps, self.step = train, warm_up, steps, 0
        self.first = jax.tree.map(np.zeros_like, parameters)
        self.second = jax.tree.map(np.zeros_like, parameters)

    def update(self, parameters, gradients):
        train, b1, b2 = self.train, 0.9, 0.999
        self.first = jax.tree.map(lambda m, g: b1 * m + (1 - b1) * g, self.first, gradients)
        self.second = jax.tree.map(lambda v, g: b2 * v + (1 - b2) * g**2, self.second, gradients)
        self.step += 1

        def updated(path, p, m, v):
            recurrent = path[-1].key in ("A", "nu_log", "theta_log", "gamma_log", "B")
            peak = train.lr * train.lr_factor if recurrent else train.lr
            lr = rate(self.step - 1, peak, train.lr_min, self.warm_up, self.steps)
            change = (m / (1 - b1**self.step)) / (np.sqrt(v / (1 - b2**self.step)) + 1e-8)
            return p - lr * (change + (0 if recurrent else train.weight_decay * p))

        return jax.tree_util.tree_map_with_path(updated, parameters, self.first, self.second)

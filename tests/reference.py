"""What every kernel means, in plain NumPy: the specification, to the bit.

A table is (V, D), ids are any integers, rows are float32 or float64; everything is computed in the
table's dtype but for divisors and coefficients, which are double until their last rounding.
"""

import math
import statistics

import numpy as np

CHUNK = 256  # a longer sum is cut into chunks of this many summands, counted from its start


def resolve(ids, rows, out_of_range="raise", padding=None):
    """Return the row of each id, -1 where it stands for a row of zeros or for padding."""
    resolved = []
    for id in np.asarray(ids).reshape(-1).tolist():
        if not 0 <= id < rows:
            if out_of_range == "raise":
                raise IndexError(id)
            id = {"clip": min(max(id, 0), rows - 1), "wrap": id % rows, "zero": -1}[out_of_range]
        resolved.append(-1 if id == padding else id)
    return np.array(resolved, np.int64)


def gather(table, ids, out_of_range="raise"):
    rows = resolve(ids, len(table), out_of_range)
    out = np.zeros((len(rows), table.shape[1]), table.dtype)
    out[rows >= 0] = table[rows[rows >= 0]]
    return out.reshape(*np.shape(ids), table.shape[1])


def sum_in_order(summands):
    total = np.zeros(summands.shape[1], summands.dtype)
    for summand in summands:
        total = total + summand
    return total


def segment_sum(summands):
    """Sum (k, D) in order; more than a chunk's worth by chunks, then the chunks' sums in order."""
    if len(summands) <= CHUNK:
        return sum_in_order(summands)
    chunks = [sum_in_order(summands[i : i + CHUNK]) for i in range(0, len(summands), CHUNK)]
    return sum_in_order(np.array(chunks))


def coalesce(ids, values):
    unique = np.unique(ids)
    sums = [segment_sum(values[ids == id]) for id in unique]
    return unique.astype(np.int64), np.array(sums, values.dtype).reshape(len(sums), values.shape[1])


def scatter_add(dst, ids, values):
    for id, total in zip(*coalesce(ids, values), strict=True):
        dst[id] += total
    return dst


def bag_bounds(ids, offsets=None):
    if np.ndim(ids) == 2:
        length = np.shape(ids)[1]
        return [(b * length, (b + 1) * length) for b in range(np.shape(ids)[0])]
    return list(zip(offsets, [*offsets[1:], len(ids)], strict=True))


def divisor(mode, weights):
    if mode == "sum":
        return 1.0
    total = 0.0
    for weight in weights:
        total += float(weight) ** 2 if mode == "sqrtn" else float(weight)
    return math.sqrt(total) if mode == "sqrtn" else total


def _bags(ids, offsets, weights, rows):
    """For each bag: its positions that have a row, and their weights."""
    flat = None if weights is None else np.asarray(weights).reshape(-1)
    for begin, end in bag_bounds(ids, offsets):
        kept = [p for p in range(begin, end) if rows[p] >= 0]
        yield kept, np.ones(len(kept)) if flat is None else flat[kept]


def gather_bag(
    table, ids, offsets=None, mode="sum", weights=None, padding=None, out_of_range="raise"
):
    rows = resolve(ids, len(table), out_of_range, padding)
    out = []
    for kept, bag_weights in _bags(ids, offsets, weights, rows):
        summands = table[rows[kept]]
        if weights is not None:
            summands = bag_weights[:, None] * summands
        by = table.dtype.type(divisor(mode, bag_weights))
        total = sum_in_order(summands)
        out.append(total / by if kept and by != 0 else np.zeros_like(total))
    return np.array(out, table.dtype).reshape(len(out), table.shape[1])


def bag_gradient(
    table, ids, grad, offsets=None, mode="sum", weights=None, padding=None, out_of_range="raise"
):
    """Return (rows, values): the table's gradient as summands, in order of position."""
    dtype = table.dtype.type
    rows = resolve(ids, len(table), out_of_range, padding)
    values = np.zeros((len(rows), table.shape[1]), dtype)
    for bag, (kept, bag_weights) in enumerate(_bags(ids, offsets, weights, rows)):
        by = divisor(mode, bag_weights)
        factor = 1.0 / by if by != 0 else 0.0
        for position, weight in zip(kept, bag_weights, strict=True):
            values[position] = dtype(float(weight) * factor) * grad[bag]
    return rows[rows >= 0], values[rows >= 0]


def sgd(w, buffer, g, lr, momentum=0.0, nesterov=False, decay=0.0):
    """Update rows w and buffer (n, D) in place."""
    dtype = w.dtype.type
    w *= dtype(1.0 - lr * decay)
    if momentum == 0.0:
        w -= dtype(lr) * g
        return
    buffer[...] = dtype(momentum) * buffer + g
    w -= dtype(lr) * (g + dtype(momentum) * buffer if nesterov else buffer)


def power(base, exponents):
    """base ** exponents by squaring and multiplying: libraries differ in the last bit."""
    powers = []
    for exponent in exponents.tolist():
        result, square = 1.0, base
        while exponent:
            if exponent & 1:
                result *= square
            square *= square
            exponent >>= 1
        powers.append(result)
    return np.array(powers)


def adam(w, m, v, g, t, lr=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-7, decay=0.0):
    """Update rows w, m and v (n, D) in place; t is one step count, or one for each row."""
    dtype = w.dtype.type
    t = np.broadcast_to(t, len(w))
    correction = np.sqrt(1.0 - power(beta_2, t)) / (1.0 - power(beta_1, t))
    rate = (lr * correction).astype(dtype)[:, None]
    m += dtype(1.0 - beta_1) * (g - m)
    v += dtype(1.0 - beta_2) * (g * g - v)
    w *= dtype(1.0 - lr * decay)
    w -= rate * m / (np.sqrt(v) + dtype(epsilon))


def philox(counter, key):
    """Philox4x32-10 of Salmon et al. 2011: counter of 4 and key of 2 words to 4 words."""
    c, k = list(counter), list(key)
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [
            (b >> 32) ^ c[1] ^ k[0],
            b & 0xFFFFFFFF,
            (a >> 32) ^ c[3] ^ k[1],
            a & 0xFFFFFFFF,
        ]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


def uniforms(seed, row, pair):
    """Return the two numbers in (0, 1) behind columns 2 pair and 2 pair + 1 of a row."""
    key = [seed & 0xFFFFFFFF, seed >> 32]
    words = philox([pair, 0, row & 0xFFFFFFFF, row >> 32], key)
    return [((words[i] << 32 | words[i + 1]) >> 11) * 2.0**-53 + 2.0**-54 for i in (0, 2)]


def truncated_normal(u):
    """Return the x that a normal number between -2 and 2 is below with probability u."""
    normal = statistics.NormalDist()
    distance = (1.0 - 2.0 * normal.cdf(-2.0)) * (u - 0.5)
    return math.copysign(normal.inv_cdf(0.5 - abs(distance)), distance)


def variance_scaling_uniform(u, scale, fan):
    """Return the number in (-limit, limit), of variance scale / fan, behind u."""
    limit = math.sqrt(3.0 * (scale / max(1.0, fan)))
    return -limit + (limit + limit) * u

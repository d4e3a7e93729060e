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
    return list(zip(offsets, [*offsets, len(ids)][1:], strict=True))


def divisor(mode, weights):
    if mode == "sum":
        return 1.0
    total = 0.0
    for weight in map(float, weights):
        total += weight * weight if mode == "sqrtn" else weight
    return math.sqrt(total) if mode == "sqrtn" else total


def _bags(ids, offsets, weights, rows):
    """For each bag: its positions that count, and their weights."""
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
        if mode == "max":
            out.append(summands.max(axis=0) if kept else np.zeros(table.shape[1], table.dtype))
            continue
        if weights is not None:
            summands = bag_weights[:, None] * summands
        by = table.dtype.type(divisor(mode, bag_weights))
        total = sum_in_order(summands)
        out.append(total / by if kept and by != 0 else np.zeros_like(total))
    return np.array(out, table.dtype).reshape(len(out), table.shape[1])


def bag_gradient(
    table,
    ids,
    grad,
    offsets=None,
    mode="sum",
    weights=None,
    padding=None,
    out_of_range="raise",
    frozen=(),
    by_frequency=False,
    scale=1.0,
):
    """Return (rows, values): the table's gradient as summands, in order of position."""
    if mode == "max":
        return _max_gradient(table, ids, grad, offsets, padding, out_of_range, frozen, scale)
    dtype = table.dtype.type
    rows = resolve(ids, len(table), out_of_range, padding)
    values = np.zeros((len(rows), table.shape[1]), dtype)
    for bag, (kept, bag_weights) in enumerate(_bags(ids, offsets, weights, rows)):
        by = divisor(mode, bag_weights)
        factor = scale / by if by != 0 else 0.0
        for position, weight in zip(kept, bag_weights, strict=True):
            coefficient = float(weight) * factor
            if by_frequency:
                coefficient /= int(np.sum(rows == rows[position]))
            values[position] = dtype(coefficient) * grad[bag]
    counts = (rows >= 0) & ~np.isin(rows, frozen)
    return rows[counts], values[counts]


def _max_gradient(table, ids, grad, offsets, padding, out_of_range, frozen, scale):
    """Each element goes to the first position that attains the maximum of its column."""
    rows = resolve(ids, len(table), out_of_range, padding)
    found_rows, found_values = [], []
    for bag, (kept, _) in enumerate(_bags(ids, offsets, None, rows)):
        winners = np.argmax(table[rows[kept]], axis=0) if kept else np.array([], int)
        for at, position in enumerate(kept):
            won = winners == at
            if won.any() and rows[position] not in frozen:
                found_rows.append(rows[position])
                found_values.append(np.where(won, table.dtype.type(scale) * grad[bag], 0))
    values = np.array(found_values, table.dtype).reshape(len(found_rows), table.shape[1])
    return np.array(found_rows, np.int64), values


def sum_columns(values):
    """Sum float64 values (D,) over eight lanes, column k in lane k % 8, then the lanes in pairs."""
    lanes = [0.0] * 8
    for column, value in enumerate(values.tolist()):
        lanes[column % 8] += value
    for half in (4, 2, 1):
        lanes = [lanes[lane] + lanes[lane + half] for lane in range(half)]
    return lanes[0]


def weight_gradient(
    table, ids, grad, offsets=None, mode="sum", weights=None, padding=None, out_of_range="raise"
):
    """Return the gradient of each id's weight, in the shape of ids."""
    rows = resolve(ids, len(table), out_of_range, padding)
    out = np.zeros(len(rows), table.dtype)
    for bag, (kept, bag_weights) in enumerate(_bags(ids, offsets, weights, rows)):
        by = divisor(mode, bag_weights)
        if by == 0:
            continue
        wide = grad[bag].astype(np.float64)
        dots = [sum_columns(table[rows[p]].astype(np.float64) * wide) for p in kept]
        weighted = 0.0
        for weight, dot in zip(bag_weights, dots, strict=True):
            weighted += float(weight) * dot
        for position, weight, dot in zip(kept, bag_weights, dots, strict=True):
            if mode == "mean":
                dot = (dot - weighted / by) / by
            if mode == "sqrtn":
                dot = (dot - float(weight) * (weighted / by) / by) / by
            out[position] = dot
    return out.reshape(np.shape(ids))


def row_norm(x, p=2.0):
    x = np.abs(x.astype(np.float64))
    if p == 2.0:
        return math.sqrt(sum_columns(x * x))
    if p == 1.0:
        return sum_columns(x)
    if p == math.inf:
        return float(x.max(initial=0.0))
    return sum_columns(np.array([math.pow(value, p) for value in x.tolist()])) ** (1.0 / p)


def renormalise(table, rows, max_norm, p=2.0):
    for row in np.unique(rows):
        norm = row_norm(table[row], p)
        if norm > max_norm:
            table[row] *= table.dtype.type(max_norm / (norm + 1e-7))


def dropped(rows, rate, key):
    """Return which rows word-type dropout drops with this key."""
    words = [philox([0, 1, row & 0xFFFFFFFF, row >> 32], key) for row in map(int, rows)]
    return np.array([unit_interval(*w[:2]) < rate for w in words], bool)


def penalised(w, g, l1=0.0, l2=0.0):
    """Return the gradient of rows with that of l1 sum |w| + l2 sum w^2."""
    if l1 == 0.0 and l2 == 0.0:
        return g
    dtype = w.dtype.type
    return g + dtype(l1) * np.sign(w) + 2 * dtype(l2) * w


def constrain(w, norm=None, non_negative=False):
    """Hold rows to a constraint, in place; norm is (low, high, rate)."""
    if non_negative:
        w[w < 0] = 0
    if norm is not None:
        low, high, rate = norm
        for row in w:
            length = row_norm(row)
            wanted = min(max(length, low), high)
            if rate != 1.0:
                wanted = rate * wanted + (1.0 - rate) * length
            row *= w.dtype.type(wanted / (1e-7 + length))


def sgd(w, buffer, g, lr, momentum=0.0, nesterov=False, decay=0.0):
    """Update rows w and buffer (n, D) in place."""
    dtype = w.dtype.type
    w *= dtype(1.0 - lr * decay)
    if momentum == 0.0:
        w -= dtype(lr) * g
        return
    buffer[...] = dtype(momentum) * buffer + g
    w -= dtype(lr) * (g + dtype(momentum) * buffer if nesterov else buffer)


def adagrad(w, accumulator, g, lr, epsilon=1e-7, decay=0.0):
    """Update rows w and accumulator (n, D) in place."""
    dtype = w.dtype.type
    accumulator += g * g
    w *= dtype(1.0 - lr * decay)
    w -= dtype(lr) * g / (np.sqrt(accumulator) + dtype(epsilon))


def row_wise_adagrad(w, accumulator, g, lr, epsilon=1e-7, decay=0.0):
    """Update rows w (n, D) and accumulator (n,) in place."""
    dtype = w.dtype.type
    for row, gradient in enumerate(g if g.shape[1] else []):
        mean = sum_columns(np.square(gradient.astype(np.float64))) / len(gradient)
        accumulator[row] = float(accumulator[row]) + mean
    w *= dtype(1.0 - lr * decay)
    w -= (dtype(lr) / (np.sqrt(accumulator) + dtype(epsilon)))[:, None] * g


def rms_prop(w, v, g, lr, rho=0.9, epsilon=1e-7, decay=0.0):
    """Update rows w and v (n, D) in place."""
    dtype = w.dtype.type
    v[...] = dtype(rho) * v + dtype(1.0 - rho) * (g * g)
    w *= dtype(1.0 - lr * decay)
    w -= dtype(lr) * g / np.sqrt(v + dtype(epsilon))


def ftrl(w, n, z, g, lr, power=-0.5, l1=0.0, l2=0.0, shrinkage=0.0, beta=0.0):
    """Update rows w, n and z (k, D) in place."""
    dtype = w.dtype.type

    def root(n):
        # Only the square root is the same everywhere: pow differs in its last bits.
        return np.sqrt(n) if power == -0.5 else np.power(n, dtype(-power))

    new = n + g * g
    z += (g + dtype(2.0 * shrinkage) * w) - (root(new) - root(n)) / dtype(lr) * w
    n[...] = new
    quadratic = root(new) / dtype(lr) + dtype(2.0 * l2 + beta / lr)
    w[...] = (np.clip(z, -dtype(l1), dtype(l1)) - z) / quadratic


def lion(w, m, g, lr, beta_1=0.9, beta_2=0.99, decay=0.0):
    """Update rows w and m (n, D) in place."""
    dtype = w.dtype.type
    w *= dtype(1.0 - lr * decay)
    w -= dtype(lr) * np.sign(dtype(beta_1) * m + dtype(1.0 - beta_1) * g)
    m[...] = dtype(beta_2) * m + dtype(1.0 - beta_2) * g


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
    """Philox4x32-10 of Salmon et al. 2011: counter of 4 words and key of 64 bits to 4 words."""
    c, k = list(counter), [key & 0xFFFFFFFF, key >> 32]
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


def unit_interval(high, low):
    return ((high << 32 | low) >> 11) * 2.0**-53 + 2.0**-54


def uniforms(seed, row, pair):
    """Return the two numbers in (0, 1) behind columns 2 pair and 2 pair + 1 of a row."""
    words = philox([pair, 0, row & 0xFFFFFFFF, row >> 32], seed)
    return [unit_interval(*words[:2]), unit_interval(*words[2:])]


def uniform_rows(shape, seed, first_row=0):
    """Return the numbers in (0, 1) behind a table's rows from first_row on."""
    rows, dim = shape
    pairs = range((dim + 1) // 2)
    units = [
        [u for pair in pairs for u in uniforms(seed, first_row + row, pair)][:dim]
        for row in range(rows)
    ]
    return np.array(units).reshape(shape)


def truncated_normal(u):
    """Return the x that a normal number between -2 and 2 is below with probability u."""
    normal = statistics.NormalDist()
    distance = (1.0 - 2.0 * normal.cdf(-2.0)) * (u - 0.5)
    return math.copysign(normal.inv_cdf(0.5 - abs(distance)), distance)


def variance_scaling_uniform(u, scale, fan):
    """Return the number in (-limit, limit), of variance scale / fan, behind u."""
    limit = math.sqrt(3.0 * (scale / max(1.0, fan)))
    return -limit + (limit + limit) * u


def window_gradients(inputs, outputs, targets, mean=False):
    """Return what word2vec's window adds to its rows, for a learning rate of 1, in float64.

    Each input (n, D), or the mean of them, predicts each output (m, D): targets (m,) are 1 or 0.
    As word2vec has it, every input gets the whole of what the mean gets.
    """
    inputs, outputs = inputs.astype(np.float64), outputs.astype(np.float64)
    predicting = inputs.mean(axis=0, keepdims=True) if mean else inputs
    slopes = targets - 1 / (1 + np.exp(-predicting @ outputs.T))
    of_inputs = slopes @ outputs
    return np.broadcast_to(of_inputs, inputs.shape), slopes.T @ predicting

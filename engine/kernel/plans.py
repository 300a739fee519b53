"""Plans: standing trade ideas as a table of conditions, evaluated at every boundary in one pass.

Owns 32 places for a plan, what a plan is (a row of int64 words), when it is due, and what is kept
of its last evaluation: each condition passed, failed or could not be told, and the number that it
was asked with. A plan with ``order_flow`` is due at every step, any other on the slow grid; it is
met when none of its conditions failed or was unknown. Plans come with the parameters and through
control events: BEGIN, a WORD for each word, COMMIT with the checksum of the words; what does not
check out changes nothing and is counted.

What must hold: the order of plans changes nothing but which of two that are met acts first (the
lowest id); an evaluation reads numbers of its own boundary alone; a plan that is not pending is
never met. It refuses to know what a plan's stop, target and size come to, and who trades it.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from data.events import Control
from engine.kernel.metrics import METRICS_MAX

PLANS_MAX = 32
CONDITIONS_MAX = 24
HEAD = 15
"""Words of a plan before its conditions."""
WORDS_MAX = HEAD + 4 * CONDITIONS_MAX

EMPTY, PENDING, EXECUTED, CANCELLED, EXPIRED = range(5)
STATUS_NAMES = ("empty", "pending", "executed", "cancelled", "expired")
GE, LE, BETWEEN, EQ, NE, ZONE_WITHIN, NO_ZONE_WITHIN = range(7)
OP_NAMES = (">=", "<=", "between", "=", "not", "zone within", "no zone within")
STOP_NONE, STOP_PRICE, STOP_DISTANCE, STOP_SHARE, STOP_ATR, STOP_STRUCTURE = range(6)
TARGET_NONE, TARGET_PRICE, TARGET_DISTANCE, TARGET_SHARE, TARGET_ATR = range(5)
TARGET_R = 6
"""Modes of stop_value and target_value: price (price units), distance (price units), share of the
price, multiple of the ATR, structure (buffer in ATR), multiple of the stop's distance (1e-9)."""
_BEGIN = int(Control.PLAN_BEGIN)
_WORD = int(Control.PLAN_WORD)
_COMMIT = int(Control.PLAN_COMMIT)
_CANCEL = int(Control.PLAN_CANCEL)
_PRIME = np.int64(2_147_483_647)
_LOW = np.int64(0x7FFFFFFF)

CONDITION = np.dtype([("metric", "i8"), ("op", "i8"), ("a", "i8"), ("b", "i8")], align=True)
"""metric: place in METRICS; op: one of the seven; a, b: bounds in the metric's unit (a zone's
condition: prices from a to b)."""

HEAD_FIELDS = (
    "id", "status", "direction", "order_flow", "from_ns", "expiry_ns", "stop_mode", "stop_value",
    "target_mode", "target_value", "qty", "risk_fp9", "min_rr_fp9", "min_confidence_fp9", "n",
)  # fmt: skip
"""The first words of a plan, in order; four for each of its n conditions follow."""

PLAN = np.dtype(
    [(name, "i8") for name in HEAD_FIELDS]
    + [
        ("conditions", CONDITION, (CONDITIONS_MAX,)),
        ("at_ns", "i8"),
        ("passed", "i8"),
        ("failed", "i8"),
        ("unknown", "i8"),
        ("value", "i8", (CONDITIONS_MAX,)),
    ],
    align=True,
)
"""One plan; direction +1 or -1; times ns (0: none); qty (0: by risk), risk: share of the equity;
at_ns: boundary of the last evaluation, its verdicts by bit and the numbers that were read."""

PLANS_STATE = np.dtype(
    [
        ("started", "i8"),
        ("now_ns", "i8"),
        ("met", "i8"),
        ("committed", "i8"),
        ("rejected", "i8"),
        ("draft", "i8"),
        ("words_n", "i8"),
        ("words", "i8", (WORDS_MAX,)),
        ("slots", PLAN, (PLANS_MAX,)),
    ],
    align=True,
)
"""now_ns: boundary of the last pass; met: evaluations that were met; committed and rejected: acts
on plans that changed something and that could not; draft: id of the plan whose words come in."""

PLANS_PARAMS = np.dtype([("n", "i8"), ("slots", PLAN, (PLANS_MAX,))], align=True)
"""The plans that a fold begins with: slots[:n]."""


@njit(cache=True, nogil=True)
def _mix(a, b, piece):
    a = (a + piece) % _PRIME
    return a, (b + a) % _PRIME


@njit(cache=True, nogil=True)
def plan_checksum(words, n):
    """Fletcher's checksum over 31-bit pieces of the first ``n`` int64 words (array), below 2^62."""
    a = np.int64(1)
    b = np.int64(0)
    for k in range(n):
        w = words[k]
        a, b = _mix(a, b, w & _LOW)
        a, b = _mix(a, b, (w >> 31) & _LOW)
        a, b = _mix(a, b, (w >> 62) & 3)
    return (b << 31) | a


@njit(cache=True, nogil=True)
def _sound(words, n):
    """True when ``n`` words are a plan that can be evaluated."""
    if n < HEAD or words[14] < 0 or words[14] > CONDITIONS_MAX or n != HEAD + 4 * words[14]:
        return False
    if words[0] <= 0 or words[1] != PENDING or abs(words[2]) != 1:
        return False
    for k in range(words[14]):
        at = HEAD + 4 * k
        if words[at] < 0 or words[at] >= METRICS_MAX:
            return False
        if words[at + 1] < GE or words[at + 1] > NO_ZONE_WITHIN:
            return False
    return True


@njit(cache=True, nogil=True)
def _place(s, plan_id):
    """Place of plan ``plan_id``; else an empty one; else that of the oldest done; else -1."""
    empty = np.int64(-1)
    done = np.int64(-1)
    for k in range(PLANS_MAX):
        x = s.slots[k]
        if x.id == plan_id:
            return np.int64(k)
        if x.id == 0 and empty < 0:
            empty = np.int64(k)
        finished = x.id != 0 and x.status != PENDING
        if finished and (done < 0 or x.id < s.slots[done].id):
            done = np.int64(k)
    return empty if empty >= 0 else done


@njit(cache=True, nogil=True)
def _take(r, words):
    """Put sound words into a slot; its last evaluation is forgotten."""
    r.id = words[0]
    r.status = words[1]
    r.direction = words[2]
    r.order_flow = words[3]
    r.from_ns = words[4]
    r.expiry_ns = words[5]
    r.stop_mode = words[6]
    r.stop_value = words[7]
    r.target_mode = words[8]
    r.target_value = words[9]
    r.qty = words[10]
    r.risk_fp9 = words[11]
    r.min_rr_fp9 = words[12]
    r.min_confidence_fp9 = words[13]
    r.n = words[14]
    r.at_ns = 0
    r.passed = 0
    r.failed = 0
    r.unknown = 0
    for k in range(CONDITIONS_MAX):
        c = r.conditions[k]
        at = HEAD + 4 * k
        c.metric = words[at]
        c.op = words[at + 1]
        c.a = words[at + 2]
        c.b = words[at + 3]
        r.value[k] = 0


@njit(cache=True, nogil=True)
def _start(s, p):
    """The plans of the parameters, once, before anything happens to a plan."""
    if s.started == 1:
        return
    s.started = 1
    for k in range(p.n):
        s.slots[k] = p.slots[k]


@njit(cache=True, nogil=True)
def _commit(s, checksum):
    """The words of the draft become a plan; False where they are not what was sent."""
    n = s.words_n
    whole = s.draft > 0 and n <= WORDS_MAX and s.words[0] == s.draft and _sound(s.words, n)
    if not whole or plan_checksum(s.words, n) != checksum:
        return False
    slot = _place(s, s.draft)
    if slot < 0:
        return False
    _take(s.slots[slot], s.words)
    return True


@njit(cache=True, nogil=True)
def _cancel(s, plan_id):
    """Cancel the pending plan of that id; False where there is none."""
    for k in range(PLANS_MAX):
        x = s.slots[k]
        if x.id == plan_id and plan_id > 0 and x.status == PENDING:
            x.status = CANCELLED
            return True
    return False


@njit(cache=True, nogil=True)
def _forget(s):
    s.draft = 0
    s.words_n = 0
    for k in range(WORDS_MAX):
        s.words[k] = 0


@njit(cache=True, nogil=True)
def plans_control(s, p, code, value):
    """Fold a control event (int64 code and value) that is about plans; others are left alone."""
    if code < _BEGIN or code > _CANCEL:
        return
    _start(s, p)
    done = True
    if code == _BEGIN:
        done = s.draft == 0  # a draft that was never committed is lost, and counted
        _forget(s)
        s.draft = value
    elif code == _WORD:
        if s.words_n < WORDS_MAX:
            s.words[s.words_n] = value
        s.words_n = min(s.words_n + 1, np.int64(WORDS_MAX + 1))
    elif code == _COMMIT:
        done = _commit(s, value)
        s.committed += 1 if done else 0
        _forget(s)
    else:
        done = _cancel(s, value)
        s.committed += 1 if done else 0
    s.rejected += 0 if done else 1


@njit(cache=True, nogil=True)
def _zone_between(z, low, high):
    """True when a living zone (ZONES_STATE record) overlaps int64 prices low..high."""
    found = False
    for k in range(z.n):
        found |= z.items[k].low <= high and z.items[k].high >= low
    return found


@njit(cache=True, nogil=True)
def _holds(op, v, a, b):
    """A comparison of int64 ``v`` with its bounds."""
    if op == GE:
        return v >= a
    if op == LE:
        return v <= a
    if op == BETWEEN:
        return a <= v and v <= b
    if op == EQ:
        return v == a
    return v != a


@njit(cache=True, nogil=True)
def plan_evaluate(r, m, zones, now_ns):
    """Ask every condition of plan ``r`` (record) at ``now_ns``; True when all passed."""
    passed = np.int64(0)
    failed = np.int64(0)
    unknown = np.int64(0)
    bit = np.int64(1)
    for k in range(r.n):
        c = r.conditions[k]
        v = m.value[c.metric]
        r.value[k] = v
        if m.known[c.metric] == 0:
            unknown |= bit
        else:
            if c.op >= ZONE_WITHIN:
                holds = _zone_between(zones, c.a, c.b) == (c.op == ZONE_WITHIN)
            else:
                holds = _holds(c.op, v, c.a, c.b)
            if holds:
                passed |= bit
            else:
                failed |= bit
        bit <<= 1
    r.at_ns = now_ns
    r.passed = passed
    r.failed = failed
    r.unknown = unknown
    return failed == 0 and unknown == 0


@njit(cache=True, nogil=True)
def plans_pass(s, p, m, zones, slow_ns, now_ns):
    """One pass over all plans at boundary ``now_ns``, after the metrics; times in ns."""
    _start(s, p)
    s.now_ns = now_ns
    slow = now_ns % slow_ns == 0
    for k in range(PLANS_MAX):
        r = s.slots[k]
        if r.id == 0 or r.status != PENDING:
            continue
        if r.expiry_ns > 0 and now_ns >= r.expiry_ns:
            r.status = EXPIRED
            continue
        due = now_ns >= r.from_ns and (slow or r.order_flow == 1)
        if due and plan_evaluate(r, m, zones, now_ns):
            s.met += 1


@njit(cache=True, nogil=True)
def plan_met(s, k):
    """True when the plan in slot ``k`` (index) is pending and was met at the last pass."""
    r = s.slots[k]
    ours = r.id != 0 and r.status == PENDING and r.at_ns == s.now_ns and s.now_ns > 0
    return ours and r.failed == 0 and r.unknown == 0


@njit(cache=True, nogil=True)
def plans_after(s, plan_id):
    """Slot of the plan with the lowest id above ``plan_id`` among those met now, or -1."""
    best = np.int64(-1)
    for k in range(PLANS_MAX):
        lower = best < 0 or s.slots[k].id < s.slots[best].id
        if lower and s.slots[k].id > plan_id and plan_met(s, k):
            best = np.int64(k)
    return best


@njit(cache=True, nogil=True)
def plans_next(s):
    """Slot of the plan to act on now, that of the lowest id among those met, or -1."""
    return plans_after(s, np.int64(0))


@njit(cache=True, nogil=True)
def plans_executed(s, k):
    """The plan in slot ``k`` (index) has been acted on: it will not be again."""
    s.slots[k].status = EXECUTED


@njit(cache=True, nogil=True)
def plans_again(s, plan_id):
    """What was done about plan ``plan_id`` came to nothing: it is pending again."""
    for k in range(PLANS_MAX):
        if s.slots[k].id == plan_id and s.slots[k].status == EXECUTED:
            s.slots[k].status = PENDING

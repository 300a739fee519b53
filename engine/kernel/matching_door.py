"""One compiled door to simulated matching, for a driver that has its steps one at a time.

Owns the numbering of those steps; everything that they do is in ``matching`` and the files beside
it. A door of its own because each one costs a compilation. ``s`` is a SIM_STATE record, ``p`` a
SIM_PARAMS record, ``out`` an OUT record; it refuses to know who asks and why.
"""

from __future__ import annotations

from numba import njit

from engine.kernel.matching import (
    sim_boundary,
    sim_cancel,
    sim_move_stop,
    sim_quote,
    sim_submit,
)
from engine.kernel.matching_reports import settle

QUOTE, BOUNDARY, SUBMIT, CANCEL, MOVE_STOP, TARGET = range(6)
ARGUMENTS = 12


@njit(cache=True, nogil=True)
def sim_step(s, p, out, step, a):
    """One step with the int64 arguments in ``a`` (12 places; times in ns, prices and quantities in
    units); what the function behind it returns, else 0.

    QUOTE: ts, id, bid, bid_qty, ask, ask_qty. BOUNDARY: now. SUBMIT: now, decision_id, kind, side,
    qty, price, stop, target, reduce_only, tif, exit_reason, and the one position that the order may
    reduce (0: any). CANCEL: now, order_id. MOVE_STOP: now, position_id, stop. TARGET: position_id,
    target, which is held from this moment on.
    """
    if step == QUOTE:
        sim_quote(s, p, out, a[0], a[1], a[2], a[3], a[4], a[5])
    elif step == BOUNDARY:
        sim_boundary(s, p, out, a[0])
    elif step == SUBMIT:
        made = sim_submit(
            s, p, out, a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9], a[10]
        )
        if made > 0:
            s.orders[s.order_at[s.n_orders - 1]].named = a[11]
        return made
    elif step == CANCEL:
        return sim_cancel(s, p, out, a[0], a[1])
    elif step == MOVE_STOP:
        return sim_move_stop(s, p, out, a[0], a[1], a[2])
    elif step == TARGET:
        for k in range(s.n_positions):
            w = s.positions[s.position_at[k]]
            if w.id == a[0]:
                w.target = a[1]
                s.changed = 1
                settle(s, p, out)
    return 0

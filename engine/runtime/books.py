"""The account's balance at the broker against the one that our rows add up to.

Owns :class:`Books`. What must hold: a balance is compared only while nothing is under way, and a
difference is believed only when it stands; nothing is ever adjusted to make the books agree. A
balance deal (a deposit, a credit, a deal by hand) is told as a BALANCE row by ``reconcile``; what
is left over here is what nobody can explain.

It refuses to know deals and calls. All money is at 1e-8 of the account currency.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Books:
    """``broker`` and ``ours``: balances at the last comparison (ours of the first fold that
    differs), ``checked_ns`` its time, ``agreed_ns`` the last time they were equal; 0: never.
    ``alarmed`` says that a difference stood for longer than it takes to be explained."""

    settle_ns: int
    broker: int = 0
    ours: int = 0
    checked_ns: int = 0
    agreed_ns: int = 0
    alarmed: bool = False
    differed: int = 0
    """Differences that stood so long, of this process."""

    _since_ns: int = 0

    @property
    def difference(self) -> int:
        """The broker's balance less ours."""
        return self.broker - self.ours

    @property
    def equal(self) -> bool:
        """They agreed to the last unit when they were compared last."""
        return self.checked_ns > 0 and self.difference == 0

    def compare(self, broker: int, ours: list[int], now_ns: int) -> str:
        """Compare, nothing being under way; words where a difference has stood too long now."""
        before = self.difference if self.checked_ns else 0
        self.broker, self.checked_ns = broker, now_ns
        self.ours = next((mine for mine in ours if mine != broker), broker)
        if self.difference == 0:
            self.agreed_ns, self._since_ns, self.alarmed = now_ns, 0, False
            return ""
        if not self._since_ns or self.difference != before:
            self._since_ns, self.alarmed = now_ns, False
        if self.alarmed or now_ns - self._since_ns < self.settle_ns:
            return ""
        self.alarmed = True
        self.differed += 1
        return f"the broker's balance is {self.difference / 1e8:+.8f} from what its deals add up to"

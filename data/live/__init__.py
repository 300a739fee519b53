"""Recording: what comes from a venue's sockets becomes admitted events, in one order.

``series`` and ``blocks`` are the currency that everything here deals in, ``items`` what a feed
hands over, ``clock`` the time of a session. The journal that keeps the events stands in
``data.journal``, the log that they are sealed into in ``data.log``.
"""

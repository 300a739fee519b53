"""Stand-ins for venues: real sockets, real layouts, faults on request."""

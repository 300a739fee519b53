"""Pure compiled handlers, one idea a file; numpy, numba and data.events are all they import."""

"""A stand-in for the ``MetaTrader5`` module, to be imported in its place."""

"""The trade server behind the stand-in terminal: an account, its market, and what goes wrong."""

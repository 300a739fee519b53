"""Floor 1: events, the log, its sources and the questions asked of it. Knows no engine."""

"""Floor 4: one file a command, and nothing in it that a library user could want."""

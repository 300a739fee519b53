"""One file a venue or format; each turns what was recorded into columns of the log."""

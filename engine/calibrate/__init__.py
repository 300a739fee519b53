"""Fits the classifier's model on a range of the log and writes it as a file with its provenance."""

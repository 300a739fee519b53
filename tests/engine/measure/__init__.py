"""Tests of the bench of the detectors."""

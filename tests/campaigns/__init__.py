"""Campaigns: whole processes, faults at random moments, short by default and long on demand."""

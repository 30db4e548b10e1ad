"""Observations composed from specs, planned once, written for a whole batch by one kernel call."""

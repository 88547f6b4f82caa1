"""Measurements: ours beside a yardstick in one run, results committed."""

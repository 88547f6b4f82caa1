"""Arithmetic on arrays: counts, baselines, scans, multiplicity. A statistic never sees a dataframe."""

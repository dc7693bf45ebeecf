"""What can be said over all benchmarks of a comparison: from studies and their incumbents to numbers over a suite.

Which studies count is decided once, in `selection`; everything else is computed from its arrays, an arm a row and a
block (a benchmark with a seed) a column, by `reports.statistics`.
"""

"""Quantities and inference: arrays in, arrays out.

A *block* is a benchmark with a seed, and all methods meet in the same blocks. An array of values has a method a row and
a block a column; which benchmark a block belongs to, and which family a benchmark, is said once, by `blocks.Blocks`.
Which trial a study holds is said by `reports.incumbent`, a benchmark's ruler by `reports.regret`. No
method's number is computed from another method's, ranks and comparisons excepted. Randomness comes from the given
generator only, and what it draws depends on the blocks alone, so that adding a method redraws nothing.
"""

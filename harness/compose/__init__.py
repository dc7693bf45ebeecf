"""Composition happens here and nowhere else: names become objects, objects become studies, studies become reports.

Everything below is independent of everything else below; these modules know them all. The command line and the Python
entry points call only what is here. What is heavy is imported where it is used: `list methods` shall not wait for
numpy.
"""

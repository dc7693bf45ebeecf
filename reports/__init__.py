"""Data frames in, tables and figures out: what a comparison shows, and how sure one may be of it."""

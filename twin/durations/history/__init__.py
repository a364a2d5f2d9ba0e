"""Finished cases from files that hospitals export: bytes to a table, cells to values, rows to cases."""

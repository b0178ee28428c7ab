"""Measures the worker beside other consumers: see ../worker."""

"""Measures the controller with many fleets: see ../operator."""

"""Measurements: each module is a program that compares this library with others, both sides in one run; run them with ``python -m``."""

"""Captures played back: scripts on a virtual clock, every failure's words, and real clients and servers on loopback."""

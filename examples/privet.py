"""Asks either service: Привет! Как дела?

See ask.py beside it for how to start it.
"""

from __future__ import annotations

from ask import main

if __name__ == "__main__":
    main("Привет! Как дела?")

"""Asks either service: Tell me a joke

See ask.py beside it for how to start it.
"""

from __future__ import annotations

from ask import main

if __name__ == "__main__":
    main("Tell me a joke")

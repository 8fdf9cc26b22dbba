"""A reverse proxy that records the Engine.IO and Socket.IO conversations of anybody's client, and changes nothing of them."""

from engineio_lite.proxy.recording import Recording, record

__all__ = ["Recording", "record"]

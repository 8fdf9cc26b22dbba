"""The bridge: python-socketio's asyncio clients on this engine, against real servers and raw ones."""

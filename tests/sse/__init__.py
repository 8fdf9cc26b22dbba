"""The SSE adapter: the decoder, the reader of completions, requests and responses, the client against servers that are real or lie, the commands."""

"""Tests of the adapter for chat completions over server-sent events."""

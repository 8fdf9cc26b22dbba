"""Tests of what the two chat adapters share."""

"""Cassettes: a conversation that is recorded once, and then stands in for the server in tests, whatever client they use."""

from engineio_lite.cassettes.blocking import NetworkBlocked, network_blocked
from engineio_lite.cassettes.cassette import Cassette, CassetteWarning, Mode

__all__ = ["Cassette", "CassetteWarning", "Mode", "NetworkBlocked", "network_blocked"]

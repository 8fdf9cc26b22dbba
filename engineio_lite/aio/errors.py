"""From aiohttp's exceptions to stable causes: the one place that knows both."""

from __future__ import annotations

import re
import ssl
from urllib.parse import urlsplit

import aiohttp
from aiohttp import hdrs

from engineio_lite.aio.tunnel import TunnelFailed
from engineio_lite.causes import Cause

_MAX_SENTENCE = 300
"""Characters kept of an exception's own words."""

_SECRETS = re.compile(r"\?[^\s'\"<>]+|(?<=//)[^/@\s]+@")
"""Where aiohttp quotes a URL: its query, which holds the sid, and user and password."""


def explain_exception(error: BaseException, *, proxy: str | None = None) -> tuple[Cause, str]:
    """Name the cause of a failed request or socket, with one sentence that keeps the exception's own words.

    With a `proxy` (its URL) only the proxy's name is looked up here, and only to the proxy are connections made.
    """
    if proxy is None or not _is_the_proxys(error):
        return _cause(error), _sentence(error)
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return Cause.PROXY_FAILED, _unreachable_proxy(error)
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        parts = urlsplit(proxy)
        return Cause.PROXY_FAILED, f"the proxy at {parts.netloc.rpartition('@')[2]} made no connection in time"
    return Cause.PROXY_FAILED, _sentence(error)


def _is_the_proxys(error: BaseException) -> bool:
    """Whether the proxy is to blame, though aiohttp does not say so."""
    if isinstance(error, aiohttp.ClientResponseError) and not isinstance(error, aiohttp.ClientHttpProxyError):
        # An answer to CONNECT that is no HTTP. Where the proxy forwards, nothing tells whose answer it was.
        return error.request_info.method == hdrs.METH_CONNECT
    return isinstance(error, aiohttp.ClientConnectorDNSError | aiohttp.ConnectionTimeoutError)


def _cause(error: BaseException) -> Cause:  # a list of cases, most specific first, reads better than a table of predicates
    match error:
        case aiohttp.ClientProxyConnectionError():
            return Cause.PROXY_FAILED
        case TunnelFailed() | aiohttp.ClientHttpProxyError():
            return Cause.PROXY_AUTH_REQUIRED if error.status == 407 else Cause.PROXY_FAILED
        case aiohttp.ClientConnectorDNSError():
            return Cause.DNS_FAILED
        case aiohttp.ClientSSLError() | ssl.SSLError() | ssl.CertificateError():
            return Cause.TLS_FAILED
        case aiohttp.ClientConnectorError():
            return Cause.CONNECT_REFUSED if isinstance(error.os_error, ConnectionRefusedError) else Cause.CONNECT_FAILED
        case aiohttp.ConnectionTimeoutError():
            return Cause.CONNECT_TIMEOUT
        case aiohttp.InvalidURL() | UnicodeError():  # the second for a host that cannot be written as a name for looking up
            return Cause.BAD_URL
        case aiohttp.ClientPayloadError():
            # Two things under one name: a body that is cut short, and one whose Content-Encoding is a lie.
            return Cause.BAD_HTTP if "encoding" in str(error).lower() or "decode" in str(error).lower() else Cause.CONNECTION_LOST
        case aiohttp.ClientResponseError():
            return Cause.BAD_HTTP
        case ConnectionRefusedError():
            return Cause.CONNECT_REFUSED
        case _:
            return Cause.CONNECTION_LOST


def _sentence(error: BaseException) -> str:
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return _unreachable_proxy(error)
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return f"no address is known for {error.host}: {_words(error.os_error)}"[:_MAX_SENTENCE]
    if type(error) is aiohttp.ClientConnectorError:
        if isinstance(error.os_error, ConnectionRefusedError):
            return f"nobody listens at {error.host}:{error.port}"
        return f"no connection to {error.host}:{error.port}: {_words(error.os_error)}"[:_MAX_SENTENCE]
    words = " ".join(_SECRETS.sub("", str(error)).split()) or "no further words"  # aiohttp points at a byte in lines of their own
    if isinstance(error, TunnelFailed):
        return words[:_MAX_SENTENCE]
    return f"{type(error).__name__}: {words}"[:_MAX_SENTENCE]


def _unreachable_proxy(error: aiohttp.ClientConnectorError) -> str:
    return f"the proxy at {error.host}:{error.port} cannot be reached: {_words(error.os_error)}"[:_MAX_SENTENCE]


def _words(error: OSError) -> str:
    return error.strerror or str(error) or type(error).__name__

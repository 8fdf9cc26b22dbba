"""From aiohttp's exceptions to stable causes: the one place that knows both."""

from __future__ import annotations

import re
import ssl

import aiohttp

from engineio_lite.causes import Cause

_MAX_SENTENCE = 300
"""Characters kept of an exception's own words."""

_SECRETS = re.compile(r"\?[^\s'\"<>]+|(?<=//)[^/@\s]+@")
"""Where aiohttp quotes a URL: its query, which holds the sid, and user and password."""


def explain_exception(error: BaseException) -> tuple[Cause, str]:
    """Name the cause of a failed request or socket, with one sentence that keeps the exception's own words."""
    return _cause(error), _sentence(error)


def _cause(error: BaseException) -> Cause:  # a list of cases, most specific first, reads better than a table of predicates
    match error:
        case aiohttp.ClientProxyConnectionError():
            return Cause.PROXY_FAILED
        case aiohttp.ClientHttpProxyError():
            return Cause.PROXY_AUTH_REQUIRED if error.status == 407 else Cause.PROXY_FAILED
        case aiohttp.ClientConnectorDNSError():
            return Cause.DNS_FAILED
        case aiohttp.ClientSSLError() | ssl.SSLError() | ssl.CertificateError():
            return Cause.TLS_FAILED
        case aiohttp.ClientConnectorError():
            return Cause.CONNECT_REFUSED if isinstance(error.os_error, ConnectionRefusedError) else Cause.CONNECT_FAILED
        case aiohttp.ConnectionTimeoutError():
            return Cause.CONNECT_TIMEOUT
        case aiohttp.InvalidURL():
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
    if type(error) is aiohttp.ClientConnectorError:
        if isinstance(error.os_error, ConnectionRefusedError):
            return f"nobody listens at {error.host}:{error.port}"
        return f"no connection to {error.host}:{error.port}: {error.os_error.strerror or error.os_error}"[:_MAX_SENTENCE]
    words = _SECRETS.sub("", str(error).strip()) or "no further words"
    return f"{type(error).__name__}: {words}"[:_MAX_SENTENCE]

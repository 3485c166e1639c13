"""Whether a server's address is this machine: report text may go there without being asked about it."""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv4Network
from urllib.parse import SplitResult, urlsplit

_LOOPBACK = IPv4Network("127.0.0.0/8")
_ODD = re.compile(r"[\s\\\x00-\x1f\x7f]")  # URL parsers disagree on these: what we check might not be what is called


def is_this_machine(url: str) -> bool:
    """True only for an address that cannot leave this machine: `localhost`, 127.x.x.x in plain dotted form, `[::1]`.

    Whatever is in doubt is another machine: a user name before the host, other spellings of a number (decimal, octal,
    hexadecimal, shortened, IPv4 inside IPv6, a zone), 0.0.0.0, a host name that some resolver may map to loopback.

    Raises:
        ValueError: not an http or https URL with a host.
    """
    parts = read_url(url)
    host = (parts.hostname or "").lower()
    if "@" in parts.netloc:
        return False
    if host in ("localhost", "::1"):
        return True
    try:
        return IPv4Address(host) in _LOOPBACK
    except AddressValueError:
        return False


def read_url(url: str) -> SplitResult:
    """Split a server's base URL.

    Raises:
        ValueError: not an http or https URL with a host and, if any, a port of 1 to 65535.
    """
    hint = "give it like http://localhost:8000/v1"
    if _ODD.search(url):
        raise ValueError(f"base URL {url!r} holds a space, a backslash or a control character; {hint}")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"base URL {url!r} cannot be read ({error}); {hint}") from None
    if parts.scheme not in ("http", "https"):
        raise ValueError(f"base URL {url!r} does not begin with http:// or https://; {hint}")
    if not parts.hostname:
        raise ValueError(f"base URL {url!r} names no host; {hint}")
    if port == 0:
        raise ValueError(f"base URL {url!r} has port 0; {hint}")
    if parts.query or parts.fragment:
        raise ValueError(f"base URL {url!r} has a query or a fragment, which would be lost; {hint}")
    return parts

"""Addresses that strangers gave: only hosts of the public internet, and only the address that was checked.

A name is resolved here, once, and the number is connected to, so that the name cannot lead elsewhere a moment
later. Playlists, which name further addresses, and redirects are not followed; RTSP is over TCP only.
"""

import ipaddress
import socket
from collections.abc import Callable
from urllib.parse import urlunsplit

from framefuse.errors import BadInput, Retry
from producers.capture.addresses import FORMATS, Opening, split_url

_RTSP_ALONE = {"rtsp": "rtp,tcp", "rtsps": "rtp,tcp,tls,srtp"}
"""What FFmpeg may speak: without `rtsp` itself it follows no redirect (since FFmpeg 8.1, so PyAV 18)."""
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def is_public(address: Address) -> bool:
    """Whether an address, and the one that it may hold, is of the public internet."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if address.teredo or (inner is not None and not is_public(inner)):
            return False
        if address.ipv4_mapped:
            return True
    return address.is_global and not address.is_multicast


def guarded(opening: Opening, title: str, allowed: Callable[[Address], bool] = is_public) -> Opening:
    """The opening, bound to one checked address.

    Args:
        opening: as the address says.
        title: what may be shown of it.
        allowed: which addresses may be connected to.

    Raises:
        BadInput: a local device, or a host of which an address is not public.
        Retry: the name cannot be resolved now.
    """
    if "protocol_whitelist" not in opening.options:
        raise BadInput(f"{title}: a device of this host, while only public addresses are allowed")
    parts = split_url(opening.url, title)
    host = parts.hostname or ""
    found = _resolved(host, title)
    private = next((address for address in found if not allowed(address)), None)
    if private is not None:
        raise BadInput(f"{title}: {host} is {private}, which is not public, and only public ones are allowed")
    number = f"[{found[0]}]" if found[0].version == 6 else str(found[0])
    login, at, named = parts.netloc.rpartition("@")
    port = f":{parts.port}" if parts.port else ""
    url = urlunsplit(parts._replace(netloc=f"{login}{at}{number}{port}"))
    if parts.scheme in _RTSP_ALONE:
        alone = {"rtsp_transport": "tcp", "protocol_whitelist": _RTSP_ALONE[parts.scheme], "verifyhost": host}
        return Opening(url, opening.format, {**opening.options, **alone}, bound=True)
    bound = {
        "headers": f"Host: {named}\r\n",
        "verifyhost": host,
        "max_redirects": "0",
        "format_whitelist": ",".join(name for name in FORMATS if name != "hls"),
    }
    return Opening(url, opening.format, {**opening.options, **bound}, bound=True)


def _resolved(host: str, title: str) -> list[Address]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise Retry(f"{title}: the name {host} cannot be resolved") from None
    addresses = [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
    return sorted(set(addresses), key=lambda address: (address.version, int(address)))

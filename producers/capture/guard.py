"""Addresses that strangers gave: only hosts of the public internet, and only the address that was checked.

A name is resolved here, once, and FFmpeg is given the number, so that the name cannot lead elsewhere a moment
later. Playlists, which name further addresses, and redirects of HTTP are not followed; a redirect of an RTSP
server is, FFmpeg cannot be told otherwise.
"""

import ipaddress
import socket
from urllib.parse import urlunsplit

from framefuse.errors import BadInput, Retry
from producers.capture.addresses import FORMATS, Opening, split_url

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


def guarded(opening: Opening, title: str) -> Opening:
    """The opening, bound to one checked address.

    Raises:
        BadInput: a local device, or a host of which an address is not public.
        Retry: the name cannot be resolved now.
    """
    if "protocol_whitelist" not in opening.options:
        raise BadInput(f"{title}: a device of this host, while only public addresses are allowed")
    parts = split_url(opening.url, title)
    host = parts.hostname or ""
    found = _resolved(host, title)
    private = next((address for address in found if not is_public(address)), None)
    if private is not None:
        raise BadInput(f"{title}: {host} is {private}, which is not public, and only public ones are allowed")
    number = f"[{found[0]}]" if found[0].version == 6 else str(found[0])
    login, at, _ = parts.netloc.rpartition("@")
    port = f":{parts.port}" if parts.port else ""
    url = urlunsplit(parts._replace(netloc=f"{login}{at}{number}{port}"))
    if parts.scheme in ("rtsp", "rtsps"):
        return Opening(url, opening.format, {**opening.options, "rtsp_transport": "tcp", "verifyhost": host})
    bound = {
        "headers": f"Host: {host}{port}\r\n",
        "verifyhost": host,
        "max_redirects": "0",
        "format_whitelist": ",".join(name for name in FORMATS if name != "hls"),
    }
    return Opening(url, opening.format, {**opening.options, **bound})


def _resolved(host: str, title: str) -> list[Address]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise Retry(f"{title}: the name {host} cannot be resolved") from None
    addresses = [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
    return sorted(set(addresses), key=lambda address: (address.version, int(address)))

"""Which addresses lie on the public internet, so that a URL of a stranger may lead to them.

A table of our own, after IANA's special-purpose registries (RFC 6890 and later): what `ipaddress` calls global differs
between versions of Python. What is not known to be public is not.
"""

from __future__ import annotations

import ipaddress
from typing import Final

_IPV4_REFUSED: Final = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT; Alibaba's metadata
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # Azure's host, public by its number only
        "169.254.0.0/16",  # link-local; metadata of most clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments; Oracle's metadata
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)
# Everything outside is loopback, link-local, private, multicast, IPv4-mapped or not assigned.
_IPV6_UNICAST: Final = ipaddress.IPv6Network("2000::/3")
_IPV6_REFUSED: Final = tuple(
    ipaddress.IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments: Teredo, ORCHID, benchmarks
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, which holds an IPv4 address
        "3fff::/20",  # documentation
    )
)
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")


def is_public(address: str) -> bool:
    """Whether `address` (IPv4 with four decimal parts, or IPv6) is a public unicast address; False for any other text.

    An address with a zone is not. NAT64's well-known prefix is judged by the IPv4 address inside: in a network without
    IPv4 every name leads there.
    """
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv4Address):
        return _is_public_ipv4(found)
    if found.scope_id is not None:
        return False
    if found in _NAT64:
        return _is_public_ipv4(ipaddress.IPv4Address(int(found) & 0xFFFFFFFF))
    return found in _IPV6_UNICAST and not any(found in network for network in _IPV6_REFUSED)


def _is_public_ipv4(address: ipaddress.IPv4Address) -> bool:
    return not any(address in network for network in _IPV4_REFUSED)

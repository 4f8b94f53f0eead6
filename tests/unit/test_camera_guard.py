"""Which addresses are public."""

import ipaddress

import pytest

from producers.capture.guard import is_public


@pytest.mark.parametrize(
    "private",
    [
        *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.1.2.3", "224.0.0.1"),
        *("100.64.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fd00::1", "ff02::1"),
        *("::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::", "2001:0:1:2:3:4:5:6"),
    ],
)
def test_what_is_not_of_the_public_internet_is_private_however_it_is_written(private: str) -> None:
    assert not is_public(ipaddress.ip_address(private))


@pytest.mark.parametrize("public", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_what_is_public_may_be_reached(public: str) -> None:
    assert is_public(ipaddress.ip_address(public))

"""Webhooks go over https to the public internet, and inside only where a host is allowed by name."""

from __future__ import annotations

import pytest

from streams.errors import WebhookInvalid, WebhookRefused
from streams.webhook_address import check_addresses, read_url


def test_an_url_is_read_into_host_port_and_path() -> None:
    assert read_url("https://Example.com/a?b=c") == ("example.com", 443, "/a?b=c")
    assert read_url("https://[2606:4700::1]:8443").authority == "[2606:4700::1]:8443"
    assert read_url("https://example.com").authority == "example.com"
    assert read_url("https://example.com.").host == "example.com."
    assert read_url("https://" + "a" * 63 + ".example.com/").path == "/"


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "ftp://example.com/",
        "https://",
        "https:///path",
        "https://user@example.com/",
        "https://user:canary@example.com/",
        "https://example.com/#part",
        "https://example.com:99999/",
        "https://example.com/\r\nx: y",
        "https://example.com/a b",
        "https://exämple.com/",
        "https://example.com/" + "a" * 2_000,
        "https://[::1",
        "https://crm..example.com/",
        "https://.example.com/",
        "https://./",
        "https://" + "a" * 64 + ".example.com/",
    ],
)
def test_what_no_webhook_may_have_is_refused_without_its_text(url: str) -> None:
    with pytest.raises(WebhookInvalid) as caught:
        read_url(url)

    assert "canary" not in caught.value.detail


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "10.0.0.1",
        "172.16.5.4",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "192.0.2.1",
        "198.18.0.1",
        "::",
        "::1",
        "fe80::1%eth0",
        "fc00::1",
        "fd00:ec2::254",
        "ff02::1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
        "2001:0:7f00:1::",
        "2001:db8::1",
        "fec0::1",
        "feff::1",
        "3fff::1",
        "192.88.99.1",
        "::ffff:192.88.99.1",
    ],
)
def test_an_inner_address_is_refused_in_whatever_form(address: str) -> None:
    with pytest.raises(WebhookRefused):
        check_addresses("example.com", [address], allowed_hosts=())
    with pytest.raises(WebhookRefused):
        check_addresses("example.com", ["93.184.215.14", address], allowed_hosts=())


def test_public_addresses_are_let_through_and_none_is_refused() -> None:
    check_addresses("example.com", ["93.184.215.14", "2606:2800:21f::1"], allowed_hosts=())

    with pytest.raises(WebhookRefused):
        check_addresses("example.com", [], allowed_hosts=())


def test_a_host_is_allowed_by_its_name_alone() -> None:
    check_addresses("crm.internal", ["10.0.0.1"], allowed_hosts=("CRM.internal",))

    for host in ("crm.internal.example.com", "10.0.0.1", "xcrm.internal"):
        with pytest.raises(WebhookRefused):
            check_addresses(host, ["10.0.0.1"], allowed_hosts=("crm.internal",))

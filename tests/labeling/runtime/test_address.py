import pytest

from labeling.runtime.address import is_this_machine


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:8000/v1",
        "http://LOCALHOST/v1",
        "http://127.0.0.1:8000/v1",
        "https://127.255.255.254",
        "http://[::1]:8000/v1",
    ],
)
def test_a_loopback_literal_is_this_machine(url):
    assert is_this_machine(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://api.openai.com/v1",
        "http://192.168.0.7:8000/v1",
        "http://128.0.0.1",
        "http://0.0.0.0:8000/v1",  # all interfaces
        "http://[::]:8000",
        "http://localhost.evil.com/v1",
        "http://localhost./v1",
        "http://evil.com/localhost",
        "http://localhost@evil.com/v1",
        "http://user@127.0.0.1:8000/v1",
        "http://user:secret@localhost/v1",
        "http://127.0.0.1.evil.com",
        "http://127.0.0.1%2eevil.com",
        "http://2130706433/v1",  # 127.0.0.1 as one number
        "http://0x7f000001",
        "http://0177.0.0.1",
        "http://127.1",
        "http://127.0.0.01",
        "http://127.0.0.1.",
        "http://[::ffff:127.0.0.1]/v1",
        "http://[::ffff:7f00:1]/v1",
        "http://[::1%25eth0]/v1",
        "http://１２７.0.0.1/v1",
    ],
)
def test_whatever_is_in_doubt_is_another_machine(url):
    assert not is_this_machine(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:8000/v1",
        "127.0.0.1:8000",
        "ftp://localhost/v1",
        "file:///tmp/socket",
        "http://",
        "http:///v1",
        "http://localhost:0/v1",
        "http://localhost:99999/v1",
        "http://localhost:eight/v1",
        "http://[::1/v1",
        "http://127.0.0.1\\@evil.com/v1",
        "http://127.0.0.1 .evil.com",
        "http://local\thost/v1",
        "http://localhost/v1\n",
        "http://localhost/v1?key=1",
        "http://localhost/v1#models",
    ],
)
def test_a_url_that_cannot_be_called_is_refused_by_name(url):
    with pytest.raises(ValueError, match=r"base URL .*give it like http://localhost:8000/v1"):
        is_this_machine(url)

"""Where a URL may lead: to the endpoints' hosts and the allowed ones, also by redirects, and nowhere else."""

from __future__ import annotations

import pytest

from securechain_ingest.errors import ForbiddenHost, Malformed, Unavailable
from securechain_ingest.http.client import HttpClient
from securechain_ingest.http.routes import Routes, redirect_target, shown
from securechain_ingest.settings import HttpSettings
from tests.http.conftest import MakeClient
from tests.http.scripted_server import ScriptedServer, answer

ROUTES = Routes(
    {
        "pypi": "https://pypi.test",
        "npm": "https://npm.test/registry",
        "npm_feed": "https://npm.test/registry/feed",
        "maven": "https://npm.test/a-longer-path-than-the-registry",
        "mirror": "http://127.0.0.1:8001",
        "other_mirror": "http://127.0.0.1:8002",
    },
    ("Files.Test",),
)


@pytest.mark.parametrize(
    ("url", "endpoint"),
    [
        ("https://pypi.test/simple/six/", "pypi"),
        ("https://PyPI.Test/simple/six/", "pypi"),
        ("http://pypi.test:8080/x", "pypi"),
        ("https://npm.test/registry", "npm"),
        ("https://npm.test/registry?x", "npm"),
        ("https://npm.test/registry/feed/1", "npm_feed"),
        ("https://npm.test/registry/feeding", "npm"),
        ("https://npm.test/elsewhere", "npm"),
        ("http://127.0.0.1:8002/x", "other_mirror"),
        ("http://127.0.0.1:8003/x", "mirror"),
        ("https://FILES.test/x", "files.test"),
    ],
)
def test_a_url_belongs_to_the_longest_base_else_to_the_first_endpoint_of_its_host(url: str, endpoint: str) -> None:
    assert ROUTES.endpoint_of(url) == endpoint


@pytest.mark.parametrize(
    "url",
    [
        "https://elsewhere.test/x",
        "https://pypi.test.elsewhere.test/x",
        "https://pypi.test@elsewhere.test/x",
        "https://user:secret@pypi.test/x",
        "https://elsewhere.test/https://pypi.test/x",
        "https://elsewhere.test\\@pypi.test/x",
        "file:///etc/passwd",
        "ftp://pypi.test/x",
        "//pypi.test/x",
        "https:///x",
        "http://user:secret@[::1/x",
        "https://pypi.test:99999/x",
        "",
    ],
)
def test_a_url_that_leads_elsewhere_is_forbidden(url: str) -> None:
    with pytest.raises(ForbiddenHost) as caught:
        ROUTES.endpoint_of(url)
    assert "secret" not in f"{caught.value} {caught.value.url}"


def test_credentials_are_not_shown() -> None:
    assert shown("https://user:p%40ss@host.test/a@b?c") == "https://host.test/a@b?c"


async def test_a_forbidden_url_is_not_asked(client: HttpClient, server: ScriptedServer) -> None:
    with pytest.raises(ForbiddenHost, match=r"elsewhere\.test"):
        await client.get("http://elsewhere.test/x")
    assert client.traffic() == {}


async def test_a_url_that_no_request_can_be_made_of_is_malformed_and_not_insisted_on(
    client: HttpClient, server: ScriptedServer
) -> None:
    with pytest.raises(Malformed, match="no URL"):
        await client.get(f"{server.base}/a\x07b")
    assert server.requests == []


async def test_an_allowed_host_is_followed_and_has_its_own_limits(
    make_client: MakeClient, server: ScriptedServer
) -> None:
    url = server.script("/a", answer(200, b"x")).replace("127.0.0.1", "localhost")
    async with make_client(HttpSettings(allowed_hosts=("LocalHost",))) as client:
        assert (await client.get(url)).body == b"x"
        assert list(client.traffic()) == ["localhost"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_followed(client: HttpClient, server: ScriptedServer, status: int) -> None:
    server.script("/b", answer(200, b"there"))
    response = await client.get(server.script("/a", answer(status, location="/b")))
    assert (response.body, response.url) == (b"there", f"{server.base}/b")
    assert server.connections == 1


async def test_five_redirects_are_followed_and_no_more(make_client: MakeClient, server: ScriptedServer) -> None:
    for number in range(6):
        server.script(f"/{number}", answer(302, location=f"/{number + 1}"))
    server.script("/6", answer(200, b"there"))
    async with make_client(HttpSettings(retries=0)) as client:
        assert (await client.get(f"{server.base}/1")).body == b"there"
        with pytest.raises(Unavailable, match="more than 5 times"):
            await client.get(f"{server.base}/0")


async def test_a_redirect_to_a_forbidden_host_is_not_followed(client: HttpClient, server: ScriptedServer) -> None:
    with pytest.raises(ForbiddenHost, match=r"elsewhere\.test"):
        await client.get(server.script("/a", answer(302, location="http://elsewhere.test/x")))
    assert len(server.requests) == 1


@pytest.mark.parametrize("headers", [{}, {"location": "http://[broken/"}], ids=["missing", "broken"])
async def test_a_redirect_to_nowhere_is_malformed(
    client: HttpClient, server: ScriptedServer, headers: dict[str, str]
) -> None:
    with pytest.raises(Malformed, match="without saying where"):
        await client.get(server.script("/a", answer(302, **headers)))
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("url", "location"),
    [("https://pypi.test/a", "http://pypi.test/a"), ("HTTPS://pypi.test/a", "HTTP://pypi.test/a")],
)
def test_a_redirect_never_leaves_encryption(url: str, location: str) -> None:
    with pytest.raises(ForbiddenHost, match="not encrypted"):
        redirect_target(url, location)


def test_a_redirect_may_take_up_encryption() -> None:
    assert redirect_target("http://pypi.test/a", "https://pypi.test/b") == "https://pypi.test/b"

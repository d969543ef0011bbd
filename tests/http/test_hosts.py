"""This tests where a URL may lead: to the endpoints' hosts and the allowed ones, also by redirects, and nowhere
else.
"""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from securechain_ingest.ecosystem_settings import EndpointSettings
from securechain_ingest.errors import ForbiddenHost, Malformed, Unavailable
from securechain_ingest.http.client import HttpClient
from securechain_ingest.http.routes import Address, Routes, refuse_plain_text, shown
from securechain_ingest.settings import HttpSettings
from tests.http.conftest import FakeTime, MakeClient, TrafficOf, connections, rates
from tests.http.scripted_server import ScriptedServer, answer

ROUTES = Routes(
    {
        "pypi": "https://pypi.test",
        "npm": "https://npm.test/registry",
        "npm_feed": "https://npm.test/registry/feed",
        "maven": "https://npm.test/a-longer-path-than-the-registry",
        "mirror": "http://127.0.0.1:8001",
        "other_mirror": "http://127.0.0.1:8002",
        "private": "https://user:secret@private.test:8443/a",
    },
    ("Files.Test", "own.test:8080", "secure.test:443"),
)


@pytest.mark.parametrize(
    ("url", "endpoint", "asked"),
    [
        ("https://pypi.test/simple/six/", "pypi", "https://pypi.test/simple/six/"),
        ("https://PyPI.Test/simple/six/", "pypi", "https://pypi.test/simple/six/"),
        ("http://pypi.test:8080/x?y=1#z", "pypi", "https://pypi.test/x?y=1"),
        ("http://pypi.test", "pypi", "https://pypi.test/"),
        ("https://npm.test/registry", "npm", "https://npm.test/registry"),
        ("https://npm.test/registry?x", "npm", "https://npm.test/registry?x"),
        ("https://npm.test/registry/feed/1", "npm_feed", "https://npm.test/registry/feed/1"),
        ("http://npm.test:81/registry/feed/1", "npm_feed", "https://npm.test/registry/feed/1"),
        ("https://npm.test/registry/feeding", "npm", "https://npm.test/registry/feeding"),
        ("http://127.0.0.1:8002/x", "other_mirror", "http://127.0.0.1:8002/x"),
        ("https://127.0.0.1:8003/x", "mirror", "http://127.0.0.1:8001/x"),
        ("https://private.test/a/x", "private", "https://user:secret@private.test:8443/a/x"),
        ("https://FILES.test/x", "files.test", "https://files.test/x"),
        ("http://files.test:22/x", "files.test", "https://files.test/x"),
        ("http://own.test/x", "own.test:8080", "http://own.test:8080/x"),
        ("https://own.test:9/x", "own.test:8080", "https://own.test:8080/x"),
        ("http://secure.test/x", "secure.test:443", "https://secure.test:443/x"),
    ],
)
def test_a_link_is_asked_by_its_endpoints_scheme_and_port_whatever_it_says(url: str, endpoint: str, asked: str) -> None:
    assert ROUTES.address(url) == Address(endpoint, asked)


@pytest.mark.parametrize(
    "url",
    [
        "https://elsewhere.test/x",
        "https://pypi.test.elsewhere.test/x",
        "https://pypi.test@elsewhere.test/x",
        "https://user:secret@pypi.test/x",
        "https://elsewhere.test/https://pypi.test/x",
        "https://elsewhere.test\\@pypi.test/x",
        "https://pypi.test\\x",
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
        ROUTES.address(url)
    assert "secret" not in f"{caught.value} {caught.value.url}"


@pytest.mark.parametrize(
    "url",
    ["https://npm.test/elsewhere", "https://npm.test/registryfeed", "http://npm.test/", "https://private.test:8443/b"],
)
def test_a_link_beside_its_hosts_base_paths_is_forbidden_and_the_bases_are_named(url: str) -> None:
    with pytest.raises(ForbiddenHost, match="not below https://") as caught:
        ROUTES.address(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "https://npm.test/registry/../elsewhere",
        "https://npm.test/registry/%2E%2e/elsewhere",
        "https://npm.test/registry/%2e./elsewhere",
        "https://npm.test/registry/x%2F..%2F..%2Felsewhere",
        "https://npm.test/registry/./x",
        "https://pypi.test/x/..",
        "http://pypi.test:8080/../x",
        "https://files.test/a/../x",
    ],
)
def test_a_path_with_dot_segments_is_forbidden(url: str) -> None:
    with pytest.raises(ForbiddenHost, match="dot segments"):
        ROUTES.address(url)


@pytest.mark.parametrize("url", ["https://pypi.test/a..b/...?x=/../", "https://pypi.test/.x/y./%2ex"])
def test_dots_that_are_no_segment_do_no_harm(url: str) -> None:
    assert ROUTES.address(url) == Address("pypi", url)


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("https://user:p%40ss@host.test/a@b?c", "https://host.test/a@b?c"),
        ("https://elsewhere.test?@pypi.test/x", "https://elsewhere.test?@pypi.test/x"),
        ("https://elsewhere.test#@pypi.test/x", "https://elsewhere.test#@pypi.test/x"),
        ("//user:secret@host.test/x", "//host.test/x"),
        ("user:secret@host.test/x", "host.test/x"),
        ("https://host.test/a\nb\x1b[31m", "https://host.test/a\\x0ab\\x1b[31m"),
        ("https://host.test/" + "x" * 1000, "https://host.test/" + "x" * 482 + "…"),
    ],
)
def test_a_message_names_the_host_that_is_meant_without_credentials_in_one_line(url: str, text: str) -> None:
    assert shown(url) == text


async def test_a_forbidden_url_is_not_asked(client: HttpClient, server: ScriptedServer, traffic: TrafficOf) -> None:
    with pytest.raises(ForbiddenHost, match=r"elsewhere\.test"):
        await client.get("http://elsewhere.test/x")
    assert traffic() == {}


async def test_a_url_that_no_request_can_be_made_of_is_malformed_and_not_insisted_on(
    client: HttpClient, server: ScriptedServer
) -> None:
    with pytest.raises(Malformed, match="no URL"):
        await client.get(f"{server.base}/a\x07b")
    assert server.requests == []


async def test_an_allowed_host_is_followed_and_has_its_own_limits(
    make_client: MakeClient, server: ScriptedServer, traffic: TrafficOf
) -> None:
    url = server.script("/a", answer(200, b"x")).replace("127.0.0.1", "localhost")
    entry = urlsplit(url).netloc
    async with make_client(HttpSettings(allowed_hosts=(entry.title(),))) as client:
        assert (await client.get(url)).body == b"x"
        assert list(traffic()) == [entry]


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


async def test_a_redirect_is_asked_by_the_endpoints_own_port_and_scheme(
    client: HttpClient, server: ScriptedServer
) -> None:
    server.script("/b", answer(200, b"there"))
    url = server.script("/a", answer(302, location="https://127.0.0.1:1/b"))
    assert (await client.get(url)).body == b"there"


async def test_a_redirect_with_dot_segments_is_not_followed(client: HttpClient, server: ScriptedServer) -> None:
    url = server.script("/files/a", answer(302, location=f"{server.base}/files/../b"))
    with pytest.raises(ForbiddenHost, match="dot segments"):
        await client.get(url)
    assert len(server.requests) == 1


def test_a_redirect_never_leaves_encryption() -> None:
    with pytest.raises(ForbiddenHost, match="not encrypted"):
        refuse_plain_text("https://pypi.test/a", "http://mirror.test/a")


def test_a_redirect_may_take_up_encryption() -> None:
    refuse_plain_text("http://mirror.test/a", "https://pypi.test/b")


@pytest.mark.parametrize(
    ("index", "waits", "endpoints"),
    [(None, [0.5], {"maven_central"}), ("/index", [], {"maven_central", "maven_index"})],
    ids=["not set", "set"],
)
async def test_an_endpoint_that_is_not_set_is_a_folder_of_another_one_and_shares_its_limits(
    server: ScriptedServer,
    fake_time: FakeTime,
    index: str | None,
    waits: list[float],
    endpoints: set[str],
    traffic: TrafficOf,
) -> None:
    for path in ("/maven/.index/a", "/index/a", "/maven/a"):
        server.script(path, answer())
    bases: dict[str, str | None] = dict.fromkeys(EndpointSettings.model_fields, server.base)
    bases |= {"maven_central": f"{server.base}/maven", "maven_index": index and f"{server.base}{index}"}
    async with HttpClient(
        HttpSettings(),
        EndpointSettings(**bases),
        rates(maven_central=2.0, maven_index=2.0),
        connections(),
        sleep=fake_time.sleep,
        clock=fake_time.clock,
    ) as client:
        await client.get(client.url("maven_index", "a"))
        await client.get(client.url("maven_central", "a"))
        assert server.asked(f"{index or '/maven/.index'}/a") == 1
        assert fake_time.waits == waits
        assert set(traffic()) == endpoints

"""Credentials are hidden in output, and other values are not."""

from __future__ import annotations

import base64

import pytest

from wsbench.credentials import Secrets

PLAIN = Secrets()
CUSTOM = Secrets(names=("X-Custom", "room"))
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"
SECRET_NAMES = ["token", "accessToken", "ACCESS_TOKEN", "client_secret", "password", "pwd", "pass", "key", "apikey"]
SECRET_NAMES += ["PHPSESSIONID", "auth", "authorization", "credential", "jwt", "signature", "sig"]
OTHER_NAMES = ["max_tokens", "keyboard", "keys", "sessions", "author", "author_id", "code", "passes"]


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("Authorization", "Bearer abc.def", "Bearer ***"),
        ("authorization", "abcdef", "***"),
        ("Proxy-Authorization", "Basic eDp5", "Basic ***"),
        ("Cookie", "a=b; session=c", "***"),
        ("Set-Cookie", "a=b", "***"),
        ("X-Api-Key", "abc", "***"),
        ("Ocp-Apim-Subscription-Key", "abc", "***"),
        ("X-Auth-Token", "abc", "***"),
        ("X-Auth-Token", "", ""),
        ("WWW-Authenticate", 'Basic realm="x"', 'Basic realm="x"'),
        ("Sec-WebSocket-Key", "abc==", "abc=="),
        ("Location", "https://a.test/?token=abc&room=1", "https://a.test/?token=***&room=1"),
        ("Origin", "https://a.test", "https://a.test"),
        ("Host", "auth.example", "auth.example"),
        ("X-Custom", "abc", "abc"),
    ],
)
def test_headers(name: str, value: str, shown: str) -> None:
    assert PLAIN.header(name, value) == shown


@pytest.mark.parametrize("name", ["X-Custom", "x-custom", "X-CUSTOM"])
def test_the_names_of_the_user_are_secret_in_any_case(name: str) -> None:
    assert CUSTOM.header(name, "abc") == "***"
    assert CUSTOM.header(f"{name}-2", "abc") == "abc"
    assert CUSTOM.url("/?Room=1&rooms=2") == "/?Room=***&rooms=2"
    assert CUSTOM.setting("ROOM", "1") == "***"


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_names_of_secrets(name: str) -> None:
    assert PLAIN.setting(name, "1") == "***"
    assert PLAIN.url(f"/?{name}=1") == f"/?{name}=***"


@pytest.mark.parametrize("name", OTHER_NAMES)
def test_names_of_other_settings(name: str) -> None:
    assert PLAIN.setting(name, "1") == "1"


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        ("/chat?room=1", "/chat?room=1"),
        ("/chat?access_token=abc&room=1", "/chat?access_token=***&room=1"),
        ("/chat?room=1;key=abc", "/chat?room=1;key=***"),
        ("/chat?keyboard=qwerty&token=", "/chat?keyboard=qwerty&token="),
        ("/chat?%74oken=abc&user%5Bpassword%5D=x", "/chat?%74oken=***&user%5Bpassword%5D=***"),
        ("/chat?code=abc", "/chat?code=***"),
        ("/chat?token='a\"b'", "/chat?token=***"),
        ("GET /x?sig=a%20b HTTP/1.1", "GET /x?sig=*** HTTP/1.1"),
        ("ws://me:pass@a.test:80/x?jwt=abc", "ws://me:***@a.test:80/x?jwt=***"),
        ("ws://me:p@ss@a.test/?mail=a@b.test", "ws://me:***@a.test/?mail=a@b.test"),
        ("ws://:pass@a.test", "ws://:***@a.test"),
        ("ws://me:p/#ss@a.test", "ws://me:***@a.test"),
        ("ws://me:@a.test", "ws://me:@a.test"),
        ("ws://a.test:80/?mail=a@b.test", "ws://a.test:80/?mail=a@b.test"),
        ("ws://[::1]:9/", "ws://[::1]:9/"),
        ("wss://a.test", "wss://a.test"),
    ],
)
def test_urls(target: str, shown: str) -> None:
    assert PLAIN.url(target) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("connecting to ws://me:pw@a.test/ failed", "connecting to ws://me:***@a.test/ failed"),
        ("'ws://me:p/#ss@a.test/' is not a WebSocket URL", "'ws://me:***@a.test/' is not a WebSocket URL"),
        ("no such path '/x?token=abc', gone", "no such path '/x?token=***', gone"),
        ("--set token=abc: a number is wanted", "--set token=***: a number is wanted"),
        ("--set=token=abc", "--set=token=***"),
        ("exit code=1, 5 sessions", "exit code=1, 5 sessions"),
        ("""{"type": "welcome", "token": "a\\"b", "n": 1}""", """{"type": "welcome", "token": "***", "n": 1}"""),
        (
            "{'session': 5, 'user': {'id': 1}, 'auth': {'id': 2}}",
            "{'session': ***, 'user': {'id': 1}, 'auth': {'id': 2}}",
        ),
        (
            'header = ["Authorization: Bearer abc", "X-Plain: 1"]',
            'header = ["Authorization: Bearer ***", "X-Plain: 1"]',
        ),
        ("Send credentials: --header 'Authorization: ...'.", "Send credentials: --header 'Authorization: ...'."),
        ("command = './server --api-token abc --port 1'", "command = './server --api-token *** --port 1'"),
        ("use --show-credentials to see them, --secret NAME", "use --show-credentials to see them, --secret NAME"),
        ("KeyError: 'token'", "KeyError: 'token'"),
        (f"the token {TOKEN} has expired", "the token *** has expired"),
    ],
)
def test_texts(text: str, shown: str) -> None:
    assert PLAIN.text(text) == shown
    assert PLAIN.text(shown) == shown


# -- known values ------------------------------------------------------------------------------------------------------

BASIC = base64.b64encode(b"me:hunter 2").decode()
KNOWING = PLAIN.knowing(
    url="ws://me:hunter%202@a.test/?access_token=long%2Bsecret%3D",
    headers=[("Cookie", "theme=dark; sid=in-the-jar"), ("X-Api-Key", "tiger"), ("X-Auth", "1"), ("X-Plain", "plainly")],
    subprotocols=["chat", "access_token", "offered", "base64url.bearer.k8s-token"],
    settings={"password": "sesame", "room": "lounge", "token": ""},
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no user with hunter%202 or hunter 2", "no user with *** or ***"),
        (f"sent Basic {BASIC}", "sent Basic ***"),
        ("sent long+secret=, or long%2Bsecret%3D", "sent ***, or ***"),
        ("xlong+secret=x", "x***x"),
        ("body 'wrong: long+sec'", "body 'wrong: ***'"),
        ("wrong: long+sec", "wrong: ***"),
        ("a long+sec of long+long+secret=", "a long+sec of long+***"),
        ("a long+sec of words", "a long+sec of words"),
        ("dark in-the-jar", "dark ***"),
        ("the tiger of tigers", "the *** of tigers"),
        ("1 of 11 plainly seen", "1 of 11 plainly seen"),
        ("chat offered k8s-token", "chat *** ***"),
        ("open sesame in the lounge", "open *** in the lounge"),
    ],
)
def test_known_values_are_hidden_wherever_they_are(text: str, shown: str) -> None:
    assert KNOWING.text(text) == shown


@pytest.mark.parametrize("part", ["a=", "?a=1&", "ws://a:", '"a: ', "--a a ", '{"a":', "eyJ.", "long%2Bsec", "tiger"])
def test_a_long_text_takes_neither_long_nor_a_deep_stack(part: str) -> None:
    assert KNOWING.text(part * 30_000)


def test_a_value_that_begins_within_another_beginning_of_it_is_hidden() -> None:
    assert PLAIN.knowing(settings={"token": "aaaaaaaaab"}).text("aaaaaaaaaaab aaaaaaaaab") == "aa*** ***"


def test_a_password_that_is_the_name_of_user_or_server_hides_neither() -> None:
    secrets = PLAIN.knowing(url="ws://admin:admin@test.example/?token=test")
    text = "test.example refuses admin"
    assert secrets.text(text) == text
    assert secrets.url("ws://admin:admin@test.example/?token=test") == "ws://admin:***@test.example/?token=***"


# -- command lines -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["--header", "Authorization: Bearer x"], ["--header", "Authorization: Bearer ***"]),
        (["--header=authorization:Bearer x"], ["--header=authorization:Bearer ***"]),
        (["--header", "X-Plain: 1", "--header", "Cookie: a=b"], ["--header", "X-Plain: 1", "--header", "Cookie: ***"]),
        (["--header", "X-Custom: a b"], ["--header", "X-Custom: ***"]),
        (["--set", "token=x y", "--set", "n=1"], ["--set", "token=***", "--set", "n=1"]),
        (["--set=room=1", "--set=token="], ["--set=room=***", "--set=token="]),
        (["--binary", "ws://me:x@a.test/?room=1"], ["--binary", "ws://me:***@a.test/?room=***"]),
        (["-Hws://me:x@a.test"], ["-Hws://me:***@a.test"]),
        (
            ["--web-password", "x", "--api-key=y", "ws://a.test"],
            ["--web-password", "***", "--api-key=***", "ws://a.test"],
        ),
        (["--secret", "X-Custom", "--secret=room"], ["--secret", "X-Custom", "--secret=room"]),
        (
            ["--origin", "https://a.test", "--fail-if", "p99 > 5ms"],
            ["--origin", "https://a.test", "--fail-if", "p99 > 5ms"],
        ),
    ],
)
def test_command_lines(arguments: list[str], shown: list[str]) -> None:
    assert CUSTOM.command(arguments) == shown


def test_known_values_are_hidden_in_command_lines() -> None:
    assert KNOWING.command(["--subprotocol", "offered", "--heade", "X-Api-Key: tiger"])[1::2] == [
        "***",
        "X-Api-Key: ***",
    ]


def test_nothing_is_hidden_when_credentials_are_to_be_shown() -> None:
    secrets = Secrets(shown=True).knowing(settings={"token": "sesame"})
    url, settings = "ws://me:x@a.test/?token=sesame", {"token": "sesame"}
    assert secrets.url(url) == secrets.text(url) == url
    assert secrets.settings(settings) == settings
    assert secrets.command(["--set", "token=sesame"]) == ["--set", "token=sesame"]
    assert secrets.header("Cookie", "a=b") == "a=b"


@pytest.mark.parametrize(
    "text", ['"auth:' + "\\\\" * 2000, '"auth:' + " " * 2000, "a=" * 2000, "?a=" * 2000 + "'", "'a:" * 2000]
)
def test_no_text_of_a_server_stops_the_search_for_secrets(text: str) -> None:
    """Neither by nested assignments nor by a search that takes for ever."""
    assert PLAIN.text(text) == text
    assert PLAIN.text(f"{text} token=abc") == f"{text} token=***"

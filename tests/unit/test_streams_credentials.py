"""References in addresses: what they become, what is refused, and what anybody may see."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framefuse.errors import BadInput
from framefuse.streams.credentials import (
    LiteralCredential,
    MissingCredential,
    check,
    masked,
    redacted,
    resolve,
)

WORD = "s3cr3t"

LITERAL = [
    f"rtsp://admin:{WORD}@10.0.0.11/live",
    f"rtsp://admin:{WORD}${{MORE}}@10.0.0.11/live",
    f"rtsp://:{WORD}@10.0.0.11/live",
    f"rtsp://admin:{WORD}@x:y@10.0.0.11/live",
    f"rtsp://admin:{WORD}/more@10.0.0.11/live",
    f"rtsp://admin:12/{WORD}@10.0.0.11/live",
    f"rtsp://admin:12?{WORD}@10.0.0.11/live",
    f"rtsp://admin:p@{WORD}/more@10.0.0.11/live",
    f"rtsp://admin:p@12/{WORD}@10.0.0.11/live",
    f"rtsp://ad@min:{WORD}/more@10.0.0.11/live",
    f"rtsp://admin:@{WORD}/more@10.0.0.11/live",
    f"rtsp://admin:${{MORE}}_{WORD}@10.0.0.11/live",
    f"rtsp://admin:{WORD} key=1@10.0.0.11/live",
    f"rtsp://admin:{WORD}",
    f"http://10.0.0.11/video?user=admin&pwd={WORD}",
    f"http://10.0.0.11/video?user=admin&PASSWORD={WORD}&x=1",
    f"http://10.0.0.11/video?loginuse=admin&loginpas={WORD}",
    f"http://10.0.0.11/video?access_token={WORD}",
    f"http://10.0.0.11/video?accessToken={WORD}",
    f"http://10.0.0.11/video?x-api-key={WORD}",
    f"http://10.0.0.11/video#token={WORD}",
    f"http://10.0.0.11/video?token=ab/{WORD}",
    f"http://10.0.0.11/video?token=ab?{WORD}&x=1",
    f"http://10.0.0.11/video?token=ab#{WORD}",
    f"http://10.0.0.11:80/video?token=ab@{WORD}",
    f"http://admin:${{CAM1_PASSWORD}}@10.0.0.11/video?token=ab@{WORD}",
    f"rtsp://10.0.0.11:554/user=admin&password={WORD}&channel=1",
    f"rtsp://10.0.0.11:554/user=admin_password={WORD}_channel=1_stream=0.sdp",
]
FINE = [
    "rtsp://10.0.0.11/live",
    "rtsp://[fe80::1]:8554/live",
    "rtsp://admin@10.0.0.11/live@2",
    "rtsp://admin:${CAM1_PASSWORD}@10.0.0.11:554/live@2",
    "rtsp://${CAM1_USER}:${CAM1_PASSWORD}@10.0.0.11/live",
    "rtsp://admin:${file:/run/secrets/cam1}@10.0.0.11/live",
    "rtsp://admin:@10.0.0.11/live",
    "rtsp://admin@10.0.0.11:${CAM1_PORT}/live",
    "rtsp://10.0.0.11:554/password=${CAM1_PASSWORD}/live?key=${CAM1_KEY}#t=1",
    "http://10.0.0.11/video?token=${CAM2_TOKEN}&bypass=1",
    "rtsp://10.0.0.11:554/user=admin&password=&channel=1",
    "rtsp://10.0.0.11:554/user=admin_password=${CAM1_PASSWORD}_channel=1_stream=0.sdp",
    "synthetic:?seed=7",
    "camera:0",
    "/videos/a:b@c.mp4",
]


@pytest.mark.parametrize("source", LITERAL)
def test_a_literal_password_is_refused_and_never_repeated(source: str) -> None:
    with pytest.raises(LiteralCredential, match=r"\$\{CAM1_PASSWORD\}@host") as refused:
        check(source)
    assert WORD not in str(refused.value)


@pytest.mark.parametrize("source", LITERAL)
def test_a_literal_password_is_never_shown(source: str) -> None:
    assert WORD not in masked(source)
    assert "***" in masked(source)


def made_of(*parts: str) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from([WORD, *parts]), max_size=12).map(
        lambda some: "".join([*some, WORD, *some])
    )


@given(made_of(*"1@/:?#;&=.% ", "key=", "/token="))
def test_whatever_a_password_is_made_of_nothing_of_it_is_shown(password: str) -> None:
    for begin in ("rtsp://", "rtsp:/", "rtsp:", "--url=rtsp://"):
        assert WORD not in masked(f"{begin}admin:{password}@host/live")


@given(
    made_of(*"1@/:?#=.% ", "key=", "/token="), st.sampled_from(["host", "host:80", "admin:pw@host", "a@host"])
)
def test_whatever_a_token_is_made_of_nothing_of_it_is_shown(token: str, authority: str) -> None:
    assert WORD not in masked(f"http://{authority}/video?x=1&token={token}&y=2")


def test_what_is_not_secret_is_shown() -> None:
    assert masked("rtsp://admin:a:b@c@host:554/live?x=1") == "rtsp://admin:***@host:554/live?x=1"
    assert masked("rtsp://admin:a@b/c@host:554/live?x=1") == "rtsp://***@host:554/live?x=1"
    assert masked("http://host/video?x=1&token=a/b@c#d&y=2") == "http://host/video?x=1&token=***&y=2"


@pytest.mark.parametrize("slashes", ["", "/", "///"])
def test_an_address_with_other_slashes_than_two_is_masked_too(slashes: str) -> None:
    shown = masked(f"rtsp:{slashes}admin:{WORD}@10.0.0.11/live?token={WORD}")

    assert shown == f"rtsp:{slashes}admin:***@10.0.0.11/live?token=***"


@pytest.mark.parametrize("source", FINE)
def test_an_address_without_a_literal_password_is_taken_and_shown_as_it_is(source: str) -> None:
    check(source)
    assert masked(source) == source


@pytest.mark.parametrize(
    "source", ["rtsp://a:${s3cr3t!}@host/", "rtsp://a:${file:s3cr3t}@host/", "rtsp://a:${}@h/"]
)
def test_a_reference_that_is_none_is_refused_without_saying_what_it_holds(source: str) -> None:
    for use in (check, resolve):
        with pytest.raises(BadInput, match="neither") as refused:
            use(source)
        assert WORD not in str(refused.value)


def test_a_reference_becomes_what_it_stands_for_encoded_for_its_place(tmp_path: Path) -> None:
    (tmp_path / "cam1").write_text("p@ss/w:rd %\n")
    source = f"rtsp://${{NAME}}:${{file:{tmp_path}/cam1}}@host/live?token=${{NAME}}"
    assert (
        resolve(source, environment={"NAME": "a&b"})
        == "rtsp://a%26b:p%40ss%2Fw%3Ard%20%25@host/live?token=a%26b"
    )


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_no_value_breaks_out_of_its_place(value: str) -> None:
    found = resolve("rtsp://admin:${PW}@host/live", environment={"PW": value})
    assert found.startswith("rtsp://admin:")
    assert found.endswith("@host/live")
    assert not set(found.removeprefix("rtsp://admin:").removesuffix("@host/live")) & set("@/?#: ")


def test_a_path_is_left_alone() -> None:
    assert resolve("/videos/${NAME}.mp4", environment={}) == "/videos/${NAME}.mp4"


def test_what_cannot_be_resolved_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    for reference, words in {
        "NAME": "variable NAME is not set",
        "BLANK": "variable BLANK is empty",
        f"file:{tmp_path}/none": "none: No such file",
        f"file:{tmp_path}/empty": "empty is empty",
    }.items():
        with pytest.raises(MissingCredential, match=words):
            resolve(f"rtsp://a:${{{reference}}}@host/", environment={"BLANK": ""})


def test_files_outside_of_their_folder_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "other").write_text(WORD)
    (tmp_path / "secrets" / "link").symlink_to(tmp_path / "other")
    for name in ("other", "secrets/../other", "secrets/link"):
        with pytest.raises(MissingCredential, match="not below"):
            resolve(f"rtsp://a:${{file:{tmp_path}/{name}}}@host/", below=tmp_path / "secrets")


def test_messages_of_others_lose_what_references_stand_for() -> None:
    source, environment = "rtsp://admin:${PW}@host/live", {"PW": "p@ss"}
    said = "cannot open rtsp://admin:p%40ss@host/live (login p@ss)"
    assert redacted(said, source, environment=environment) == (
        "cannot open rtsp://admin:${PW}@host/live (login ${PW})"
    )
    literal = "rtsp://admin:p@host/live"
    assert redacted(f"cannot open {literal}", literal) == "cannot open rtsp://admin:***@host/live"


def test_a_camera_cannot_ask_for_the_settings_of_framefuse_itself() -> None:
    for use in (check, resolve):
        with pytest.raises(BadInput, match="setting of framefuse"):
            use("rtsp://a:${FRAMEFUSE_PASSWORD}@collector.example/")

"""What a command must be told so that it finds the topics that this one was told of."""

from pathlib import Path

import pytest

from framefuse.settings import KafkaSettings, flags_of, load


def test_a_named_command_gets_the_flags_that_this_one_was_given_and_no_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("FRAMEFUSE_PREFIX", "FRAMEFUSE_BOOTSTRAP"):
        monkeypatch.delenv(name, raising=False)
    assert flags_of(load(KafkaSettings)) == ""
    assert flags_of(load(KafkaSettings, prefix="yard")) == " --prefix yard"

    monkeypatch.setenv("FRAMEFUSE_BOOTSTRAP", "kafka:9092")
    (tmp_path / "framefuse.yaml").write_text("prefix: yard\n")
    assert flags_of(load(KafkaSettings, prefix="yard")) == ""
    assert flags_of(load(KafkaSettings, prefix="framefuse")) == " --prefix framefuse"
    assert flags_of(load(KafkaSettings, bootstrap="other:9092")) == " --bootstrap other:9092"

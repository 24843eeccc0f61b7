"""Secrets of users: what is sealed opens at its place under its key, and nowhere else."""

import base64
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstream_service.sealing import InvalidSecretsKey, SealBroken, Sealing, SealingKey, SealingUnavailable

OLD, NEW = (base64.b64encode(bytes([number]) * 32).decode() for number in (1, 2))
PLACE, NAME, SECRET = "team/vision", "resnet/PASSWORD", "hunter2 \u2603"


@given(st.text(), st.text(), st.text().filter(lambda text: text.isprintable()))
def test_what_is_sealed_opens_and_shows_nothing(place: str, name: str, secret: str) -> None:
    sealing = Sealing.of([OLD])
    place, name = (text.encode(errors="replace").decode() for text in (place, name))
    sealed = sealing.seal(place, name, secret)
    assert sealing.open(place, name, sealed) == secret
    assert sealed.isascii()
    assert sealed.isprintable()
    assert sealed != sealing.seal(place, name, secret), "each has a nonce of its own"


@pytest.mark.parametrize(
    ("place", "name"),
    [("team/other", NAME), (PLACE, "PASSWORD"), ("team/vision" + NAME[:1], NAME[1:]), ("", PLACE + NAME)],
)
def test_it_opens_at_its_place_under_its_name_alone(place: str, name: str) -> None:
    sealing = Sealing.of([OLD])
    with pytest.raises(SealBroken, match="was changed or moved: set it again"):
        sealing.open(place, name, sealing.seal(PLACE, NAME, SECRET))


def test_a_changed_one_does_not_open() -> None:
    sealing = Sealing.of([OLD])
    sealed = sealing.seal(PLACE, NAME, SECRET)
    head, _, encoded = sealed.rpartition(".")
    data = bytearray(base64.urlsafe_b64decode(encoded))
    for at in range(len(data)):
        data[at] ^= 1
        with pytest.raises(SealBroken):
            sealing.open(PLACE, NAME, f"{head}.{base64.urlsafe_b64encode(data).decode()}")
        data[at] ^= 1
    for odd in ("", ".", "sealed1", sealed[:-30], head + ".", head + ".\u2603", "sealed2" + sealed[7:]):
        with pytest.raises(SealBroken):
            sealing.open(PLACE, NAME, odd)


def test_a_new_key_seals_and_the_old_one_still_opens() -> None:
    sealed = Sealing.of([OLD]).seal(PLACE, NAME, SECRET)
    both = Sealing.of([NEW, OLD])
    assert both.open(PLACE, NAME, sealed) == SECRET
    assert not both.is_current(sealed)
    again = both.seal(PLACE, NAME, SECRET)
    assert both.is_current(again)
    assert Sealing.of([NEW]).open(PLACE, NAME, again) == SECRET
    with pytest.raises(SealBroken, match="RUNSTREAM_SECRETS_KEY"):
        Sealing.of([NEW]).open(PLACE, NAME, sealed)


def test_the_file_is_made_with_the_first_secret_for_the_user_alone(tmp_path: Path) -> None:
    path = tmp_path / "secrets.key"
    sealing = Sealing.of([], path)
    with pytest.raises(SealBroken):
        sealing.open(PLACE, NAME, Sealing.of([OLD]).seal(PLACE, NAME, SECRET))
    assert not path.exists()
    sealed = sealing.seal(PLACE, NAME, SECRET)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["secrets.key"]
    assert Sealing.of([], path).open(PLACE, NAME, sealed) == SECRET, "the next start has it"
    assert Sealing.of([path.read_text()]).open(PLACE, NAME, sealed) == SECRET


def test_those_who_make_the_file_together_have_one_key(tmp_path: Path) -> None:
    path, found = tmp_path / "secrets.key", list[str]()
    barrier = threading.Barrier(8)

    def seal() -> None:
        sealing = Sealing.of([], path)
        barrier.wait()
        found.append(sealing.seal(PLACE, NAME, SECRET))

    threads = [threading.Thread(target=seal) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [Sealing.of([], path).open(PLACE, NAME, one) for one in found] == [SECRET] * 8


def test_a_file_may_have_several_keys(tmp_path: Path) -> None:
    path = tmp_path / "secrets.key"
    path.write_text(f"{NEW}\n{OLD}\n")
    sealing = Sealing.of([], path)
    assert sealing.open(PLACE, NAME, Sealing.of([OLD]).seal(PLACE, NAME, SECRET)) == SECRET
    assert Sealing.of([NEW]).is_current(sealing.seal(PLACE, NAME, SECRET))


@pytest.mark.parametrize("content", ["", "\n", "no key\n", OLD[:-4]])
def test_a_file_without_keys_is_never_written_over(tmp_path: Path, content: str) -> None:
    path = tmp_path / "secrets.key"
    path.write_text(content)
    with pytest.raises(SealingUnavailable, match=r"secrets\.key"):
        Sealing.of([], path).seal(PLACE, NAME, SECRET)
    assert path.read_text() == content


def test_a_server_without_a_key_says_how_to_give_one() -> None:
    with pytest.raises(SealingUnavailable, match=r"RUNSTREAM_SECRETS_KEY .*openssl rand -base64 32"):
        Sealing.of([]).seal(PLACE, NAME, SECRET)


@pytest.mark.parametrize("text", ["", "x", "a" * 44, OLD[:40], OLD + OLD, "\u2603"])
def test_what_is_no_key_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(InvalidSecretsKey, match="give 32 random bytes in base64") as raised:
        Sealing.of([OLD, text])
    assert not text or len(text) == 1 or text not in str(raised.value)


def test_a_key_is_shown_by_nothing() -> None:
    key = SealingKey.of(OLD)
    assert key.id in repr(key)
    assert "secret" not in repr(key)

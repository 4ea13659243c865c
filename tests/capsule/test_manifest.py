"""The manifest of a time capsule: what is written is read, and nothing else is."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from trueup.conformance.capsule.manifest import Manifest, read_manifest, write_manifest
from trueup.conformance.errors import ManifestUnusable
from trueup.reports.journal.records import Delivered, OutcomeRange
from trueup.reports.results import EXIT_STATUS, Json, Outcome

KEY = "a key of the vendor's own"
AT = datetime(2026, 11, 30, 17, 24, 38, tzinfo=UTC)


def _manifest() -> Manifest:
    event: dict[str, Json] = {"log_id": "one", "customer_id": 1001, "log_total_bytes": 2**53 + 1}
    return Manifest.of(
        trueup="0.2.0",
        prefix="cx1",
        target=("mine", "https://api.example.net/1.0"),
        customers={"a": 1001},
        planted=("2026-11-30T17:24:38.194Z", AT),
        run="20261130-172438-capsule-plant-7",
        complete=True,
        outcomes={"accepted": 1},
        dates=(),
        records=(
            Delivered(
                source="probe",
                outcomes=(OutcomeRange(first=0, count=1, outcome=Outcome.ACCEPTED),),
                at="2026-11-30T17:24:38.194Z",
                events=(event,),
                elapsed_ms=1.25,
            ),
        ),
    )


def _written(folder: Path, key: str = "") -> Path:
    path = folder / "capsule.json"
    write_manifest(_manifest(), path, key=key)
    return path


def _edited(path: Path, **values: Json) -> Path:
    document = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps(document | values), "utf-8")
    return path


def test_a_manifest_is_read_as_it_was_written(tmp_path: Path) -> None:
    read = read_manifest(_written(tmp_path), key="")
    assert read.manifest == _manifest()
    assert read.manifest.target_time == AT
    assert read.signature == "none"


def test_white_space_and_the_order_of_keys_do_not_matter(tmp_path: Path) -> None:
    path = _written(tmp_path)
    document = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps(dict(reversed(document.items())), indent=7), "utf-8")
    assert read_manifest(path, key="").manifest == _manifest()


@pytest.mark.parametrize(
    ("planted_with", "harvested_with", "signature"),
    [(KEY, KEY, "verified"), (KEY, "", "not verified"), ("", "", "none")],
)
def test_a_signature_is_verified_where_there_is_a_key(
    tmp_path: Path, planted_with: str, harvested_with: str, signature: str
) -> None:
    read = read_manifest(_written(tmp_path, planted_with), key=harvested_with)
    assert read.signature == signature


@pytest.mark.parametrize(
    ("planted_with", "harvested_with", "message"),
    [
        ("another", KEY, "its signature is not that of the key in TRUEUP_CAPSULE_KEY"),
        ("", KEY, "is not signed, but TRUEUP_CAPSULE_KEY is set"),
    ],
)
def test_a_manifest_that_the_key_did_not_sign_is_refused(
    tmp_path: Path, planted_with: str, harvested_with: str, message: str
) -> None:
    path = _written(tmp_path, planted_with)
    with pytest.raises(ManifestUnusable, match=message):
        read_manifest(path, key=harvested_with)


def test_whoever_edits_a_signed_manifest_cannot_sign_it_again(tmp_path: Path) -> None:
    """The digest can be computed again by anyone; the signature cannot."""
    path = _written(tmp_path, KEY)
    signature = json.loads(path.read_text("utf-8"))["hmac_sha256"]
    path.unlink()
    content = _manifest()
    write_manifest(
        Manifest.of(
            trueup="0.2.0",
            prefix="cx1",
            target=("mine", "https://api.example.net/1.0"),
            customers={"a": 1001},
            planted=("2026-11-30T17:24:38.194Z", AT),
            run=content.planted.run,
            complete=True,
            outcomes={"refused": 1},
            dates=(),
            records=content.records,
        ),
        path,
        key="",
    )
    _edited(path, hmac_sha256=signature)
    assert read_manifest(path, key="").signature == "not verified"
    with pytest.raises(ManifestUnusable, match="its signature is not that of the key"):
        read_manifest(path, key=KEY)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        ({"prefix": "cx2"}, "changed after it was written"),
        ({"records": []}, "changed after it was written"),
        ({"sha256": None}, "changed after it was written"),
        ({"kind": "result"}, "not the manifest of a capsule"),
        ({"version": 2}, "a manifest of version 2, written by trueup 0.2.0"),
    ],
)
def test_an_edited_or_foreign_file_is_refused(
    tmp_path: Path, edit: dict[str, Json], message: str
) -> None:
    path = _edited(_written(tmp_path), **edit)
    with pytest.raises(ManifestUnusable, match=message) as refused:
        read_manifest(path, key="")
    assert str(path) in str(refused.value)
    assert EXIT_STATUS[refused.value.exit_status] == 4


@pytest.mark.parametrize(
    "text", ["", "[1]", "null", '{"kind": "trueup-capsule"', "[" * 100_000, "\udcff"]
)
def test_a_broken_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "capsule.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ManifestUnusable, match=r"capsule\.json"):
        read_manifest(path, key="")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ManifestUnusable, match="No such file"):
        read_manifest(tmp_path / "none.json", key="")

"""Missing keys of a target file are reported once each."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from trueup.conformance.errors import TargetFileError
from trueup.conformance.target.load import load_target


def test_an_empty_file_reports_each_missing_key_once(tmp_path: Path) -> None:
    path = tmp_path / "empty.toml"
    path.write_text("")
    with pytest.raises(TargetFileError) as caught:
        load_target(path, {})
    named = re.findall(r"^    remedy:   add `([a-z_]+) =", str(caught.value), re.MULTILINE)
    assert sorted(named) == ["base_url", "name", "tenants"]

"""A target may put any prefix before the paths of the API."""

from __future__ import annotations

import pytest

from trueup.conformance.contract.paths import resource_path


@pytest.mark.parametrize(
    "prefix", ["", "/api", "/public/user", "/1.0/public/user", "/v2/customer/api", "/log", "/a/b/c"]
)
@pytest.mark.parametrize(
    "path", ["log/search", "log/retrieve/a%20b", "residential/summary", "proxy_user/edit/search"]
)
def test_a_path_is_the_same_below_every_prefix(prefix: str, path: str) -> None:
    assert resource_path(f"{prefix}/{path}") == path


def test_a_path_of_no_endpoint_is_cut_after_the_prefix_of_the_guide() -> None:
    assert resource_path("/1.0/public/user/nothing/here") == "nothing/here"
    assert resource_path("/1.0/api/nothing/here") == "nothing/here"

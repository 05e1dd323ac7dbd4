"""What goes on without a permission of the API user stops at once when its key is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from watcher.erpnext.access import Access
from watcher.erpnext.additions import Additions, carry_over
from watcher.erpnext.client import ErpNextClient
from watcher.erpnext.fillers import fillers
from watcher.errors import ErpAuthError, ErpForbidden
from watcher_sandbox.erpnext.app import serve
from watcher_sandbox.erpnext.site import Site

Doing = Callable[[], object]


@pytest.fixture
def site() -> Iterator[tuple[Site, ErpNextClient]]:
    made = Site()
    server = serve(made)
    client = ErpNextClient(server.url, made.api_key, made.api_secret, timeout=(2, 15))
    yield made, client
    client.logout()
    server.close()


def refused_for_good(doing: Doing) -> None:
    with pytest.raises(ErpAuthError) as caught:
        doing()
    assert not isinstance(caught.value, ErpForbidden)
    assert caught.value.cause == "auth"


def test_what_cannot_be_carried_over_is_counted_but_a_refused_key_is_raised(
    site: tuple[Site, ErpNextClient],
) -> None:
    erp, client = site
    access, added = Access(client=client, find=lambda _: {}), Additions(tags=["vip"])
    erp.add_fault("add_tag", status=403, exc_type="PermissionError")
    carry_over(access, added, "EV1", "EV2")
    assert added.lost == {"tags": 1}
    erp.add_fault("add_tag", status=401, exc_type="AuthenticationError")
    refused_for_good(lambda: carry_over(access, added, "EV1", "EV2"))


def test_a_link_that_may_not_be_read_gets_a_text_but_a_refused_key_is_raised(
    site: tuple[Site, ErpNextClient],
) -> None:
    erp, client = site
    client.insert(
        {
            "doctype": "Custom Field",
            "dt": "Event",
            "fieldname": "custom_host",
            "label": "Host",
            "fieldtype": "Link",
            "options": "User",
        }
    )

    def query_meets(status: int, exc_type: str) -> None:
        erp.add_fault("get_list", status=status, exc_type=exc_type)

    query_meets(403, "PermissionError")
    assert fillers(client, ["custom_host"]) == {"custom_host": "-"}
    query_meets(401, "AuthenticationError")
    refused_for_good(lambda: fillers(client, ["custom_host"]))

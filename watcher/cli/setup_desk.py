"""What ``erpnext setup --desk`` and ``--drag`` do, and say."""

from __future__ import annotations

from watcher.cli.common import App, messages
from watcher.cli.later import later
from watcher.cli.setup_role import Wanted, telling

with later():
    from watcher.erpnext import client as rest
    from watcher.erpnext import desk as forms
    from watcher.erpnext import dragging as scripts


def fit(app: App, client: rest.ErpNextClient, wanted: Wanted) -> forms.DeskReport:
    """Make the Desk fit for mirrored events, or take that back."""
    act = forms.fit if wanted.desk == "yes" else forms.take_back
    return act(client, dry_run=wanted.dry_run, tell=telling(app))


def drag(client: rest.ErpNextClient, wanted: Wanted) -> bool | None:
    """Whether anything changed (or would); None where nothing was asked for. With ``--desk no``
    the script is gone already."""
    if wanted.drag == "stop":
        return scripts.stop(client, dry_run=wanted.dry_run)
    if wanted.drag == "allow":
        return scripts.allow(client, dry_run=wanted.dry_run)
    return None


def show(report: forms.DeskReport, wanted: Wanted) -> None:
    """Tell of forms and lists."""
    what = "changed" if wanted.desk == "yes" else "taken back"
    things = "1 thing" if len(report.changed) == 1 else f"{len(report.changed)} things"
    verb = f"would be {what}:" if wanted.dry_run else f"{what}, {things}"
    begins = "ERPNext's forms and lists"
    messages.print(f"{begins}: {verb}" if report.changed else f"{begins}: nothing to be {what}")
    for sentence in report.changed if wanted.dry_run else ():
        messages.print(f"  {sentence}", soft_wrap=True, markup=False)
    for sentence in report.by_hand:
        messages.print(f"  left as it is: {sentence}", soft_wrap=True, markup=False)
    if report.changed and wanted.desk == "yes" and not wanted.dry_run:
        messages.print("  (to take this back: watcher erpnext setup --desk no)", soft_wrap=True)


def show_drag(changed: bool | None, wanted: Wanted) -> None:
    """Tell whether mirrored events can be moved."""
    if changed is None:
        return
    may = "cannot be moved" if wanted.drag == "stop" else "can be moved"
    would = "would be so" if wanted.dry_run else "changed"
    state = would if changed else "as before"
    messages.print(f"mirrored events {may} in ERPNext's calendar: {state}", soft_wrap=True)

"""The command line: thin verbs over the same functions that cron and the web use."""

from __future__ import annotations

import sys

import click

from watcher import __version__
from watcher.cli import (
    accounts,
    calendars,
    channels,
    config,
    erpnext,
    keys,
    processes,
    sandbox,
    status,
    sync,
    tokens,
)
from watcher.cli.common import App, messages
from watcher.errors import ExitCode, WatcherError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, "--version", prog_name="watcher")
@click.option("--no-input", is_flag=True, help="Never prompt; fail where a question would be.")
@click.option("-v", "--verbose", is_flag=True, help="Show what is being done, on stderr.")
@click.pass_context
def cli(ctx: click.Context, no_input: bool, verbose: bool) -> None:
    """Watcher: a change in Google Calendar is in ERPNext seconds later."""
    ctx.obj = App(no_input=no_input, verbose=verbose)


for command in (
    config.init, config.config, config.version, processes.up, processes.web, processes.worker,
    processes.cron, erpnext.erpnext, accounts.accounts, calendars.calendars, channels.channels,
    tokens.tokens, sync.resync, sync.verify, status.status, status.queue, keys.keys,
    sandbox.sandbox,
    sandbox.demo,
):  # fmt: skip
    cli.add_command(command)


def main() -> None:
    """Entry of the console script: errors become a line for people and an exit code."""
    try:
        code = cli.main(standalone_mode=False)
    except click.UsageError as error:
        error.show()
        sys.exit(ExitCode.USAGE)
    except click.ClickException as error:
        error.show()
        sys.exit(ExitCode.ERROR)
    except (click.Abort, KeyboardInterrupt):
        messages.print("interrupted")
        sys.exit(ExitCode.INTERRUPTED)
    except WatcherError as error:
        messages.print(f"error: {error.message}", style="red", markup=False)
        if error.next_step:
            messages.print(f"  do: {error.next_step}", markup=False)
        sys.exit(error.exit_code)
    sys.exit(code if isinstance(code, int) else ExitCode.OK)

#!/bin/bash
# Upgrade an installation under systemd, as root: upgrade.sh [VERSION]
#
# VERSION is a tag or a commit; without it the newest tag. The ledger is backed up, the new version
# is installed, Watcher is started and asked whether it works; the ledger is migrated at that start.
# When it does not work within a minute, the old version and the backup are put back.
#
# Other places than those of README.md: UPGRADE_HOME (the checkout, /opt/watcher), UPGRADE_BACKUPS
# (/var/backups/watcher), UPGRADE_USER (watcher), UPGRADE_UNITS ("watcher.socket watcher.service"),
# UPGRADE_READY (http://127.0.0.1:8080/readyz).
set -euo pipefail
home=${UPGRADE_HOME:-/opt/watcher}
backups=${UPGRADE_BACKUPS:-/var/backups/watcher}
read -r -a units <<<"${UPGRADE_UNITS:-watcher.socket watcher.service}"
user=${UPGRADE_USER-watcher}
ready=${UPGRADE_READY:-http://127.0.0.1:8080/readyz}
patience=${UPGRADE_PATIENCE:-60}

say() { echo "upgrade: $*" >&2; }

# As the service's user: what root wrote the service could not read.
as_service() {
  if [ "$(id -u)" = 0 ] && id -u "$user" >/dev/null 2>&1; then runuser -u "$user" -- "$@"; else "$@"; fi
}

install_version() { git checkout --quiet --detach "$1" && make --silent install; }

works() {
  local end=$((SECONDS + patience))
  while [ $SECONDS -lt $end ]; do
    if "$home/.venv/bin/python" - "$ready" 2>/dev/null <<'PY'; then return 0; fi
import sys, urllib.request
urllib.request.urlopen(sys.argv[1], timeout=4)
PY
    sleep 1
  done
  return 1
}

go_back() {
  trap - ERR
  say "$1: the old version and the backup are put back"
  systemctl stop "${units[@]}" || true
  install_version "$old"
  # What was killed counts as running for 90 seconds.
  local tries=0
  until as_service "$home/.venv/bin/watcher" --no-input restore --yes "$backup"; do
    tries=$((tries + 1))
    [ $tries -lt 20 ] || { say "restore by hand: watcher restore $backup, then systemctl start ${units[*]}"; exit 1; }
    sleep "${UPGRADE_PAUSE:-6}"
  done
  systemctl start "${units[@]}"
  if works; then say "the old version runs again"; else say "the old version does not answer either: journalctl -u watcher"; fi
  exit 1
}

cd "$home"
old=$(git rev-parse HEAD)
if [ -n "$(git status --porcelain --untracked-files=no)" ]; then
  say "$home has changes of its own: git -C $home status"
  exit 2
fi
git fetch --quiet --tags
wanted=${1:-$(git for-each-ref --sort=-version:refname --count=1 --format='%(refname:short)' refs/tags)}
new=$(git rev-parse --verify --quiet "${wanted:-origin/HEAD}^{commit}") || { say "there is no version $wanted"; exit 2; }
if [ "$old" = "$new" ]; then
  say "${wanted:-origin/HEAD} is what is installed"
  exit 0
fi

backup=$(as_service "$home/.venv/bin/watcher" --no-input backup "$backups")
say "backed up: $backup"
# Packages are fetched while the old version still runs.
lock=$(mktemp) && wheels=$(mktemp -d)
trap 'rm -rf "$lock" "$wheels"' EXIT
git show "$new:requirements-dev.lock" >"$lock"
"$home/.venv/bin/python" -m pip download --quiet --disable-pip-version-check --require-hashes -r "$lock" -d "$wheels"

trap 'go_back "installing failed"' ERR
# The socket too: the next connection would start Watcher again.
systemctl stop "${units[@]}"
install_version "$new"
systemctl start "${units[@]}"
trap - ERR
works || go_back "it does not answer within $patience seconds"
say "$(git describe --tags --always "$new") runs; before it was $(git describe --tags --always "$old")"

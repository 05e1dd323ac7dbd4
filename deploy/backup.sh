#!/usr/bin/env bash
# A consistent copy of the ledger while it is in use: backup.sh TARGET_FOLDER
# SQLite: the file in WATCHER_DATA_DIR. PostgreSQL: the database of WATCHER_DATABASE_URL. Both from
# the environment or the file that WATCHER_CONFIG names.
# The secret keys are not in it: keep a copy of them elsewhere, without them the tokens are lost.
set -euo pipefail
umask 077
target=${1:?usage: backup.sh TARGET_FOLDER}
keep_days=${KEEP_DAYS:-14}
python=${PYTHON:-/opt/watcher/.venv/bin/python}
# Cron gives no environment: what is not in it is in the settings file.
setting() { sed -n "s/^[[:space:]]*$1=//p" "${WATCHER_CONFIG:-/dev/null}" | tail -n 1 | tr -d "\"'"; }
url=${WATCHER_DATABASE_URL:-$(setting WATCHER_DATABASE_URL)}
data=${WATCHER_DATA_DIR:-$(setting WATCHER_DATA_DIR)}
data=${data:-/var/lib/watcher}
mkdir -p "$target"
stamp=$(date -u +%Y%m%dT%H%M%SZ)

if [ -n "$url" ] && [ "${url%%:*}" != sqlite ]; then
  file="$target/ledger-$stamp.dump"
  pg_dump --format=custom --file="$file" "${url/postgresql+psycopg:/postgresql:}"
else
  file="$target/ledger-$stamp.sqlite3"
  "$python" - "$data/ledger.sqlite3" "$file" <<'PY'
import sqlite3, sys
source = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True, timeout=30)
copy = sqlite3.connect(sys.argv[2])
source.backup(copy)  # in one step: several would begin anew at each write beside them
if copy.execute("PRAGMA integrity_check").fetchone() != ("ok",):
    sys.exit("the copy is damaged")
copy.close()
PY
fi
find "$target" -name 'ledger-*' -type f -mtime "+$keep_days" -delete
echo "$file"

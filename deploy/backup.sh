#!/bin/sh
# For crontabs that call it: backup.sh TARGET_FOLDER is `watcher backup TARGET_FOLDER`, which keeps
# 14 days of backups (KEEP_DAYS). The secret keys are not in them: keep a copy of them elsewhere.
set -eu
exec "${PYTHON:-/opt/watcher/.venv/bin/python}" -m watcher --no-input backup "${1:?usage: backup.sh TARGET_FOLDER}"

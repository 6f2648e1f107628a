#!/usr/bin/env bash
# Runs on each worker, called by the scripts beside it:
#   setup CODE BUCKET         Python, the package, the bucket mounted as ~/bucket
#   run RUN BUCKET OPTION...  start the job unless one is running
#   status RUN                running, ended STATUS or none
#   stop                      end the job and copy its logs
set -euo pipefail

export PATH="$HOME/.local/bin:$PATH"
LOCK=$HOME/.pa_jax.lock # held while a job runs, gone with it
LOGS=$HOME/logs
LOG_SECONDS=${LOG_SECONDS:-60}

number() { hostname | sed -n 's/.*-w-\([0-9]*\)$/\1/p' | grep . || echo 0; }

mount_bucket() {
  if ! command -v gcsfuse >/dev/null; then
    # shellcheck disable=SC1091
    repository="gcsfuse-$(. /etc/os-release && echo "$VERSION_CODENAME")"
    key=/usr/share/keyrings/cloud.google.asc
    curl -fsSL https://packages.cloud.google.com/apt/doc/apt-key.gpg | sudo tee "$key" >/dev/null
    echo "deb [signed-by=$key] https://packages.cloud.google.com/apt $repository main" |
      sudo tee /etc/apt/sources.list.d/gcsfuse.list >/dev/null
    sudo apt-get update -q && sudo apt-get install -qy gcsfuse
  fi
  mkdir -p "$HOME/bucket"
  # Nothing of what other workers write may come from a cache: they share checkpoints.
  mountpoint -q "$HOME/bucket" || gcsfuse --implicit-dirs --rename-dir-limit=100000 \
    --metadata-cache-ttl-secs=0 "$1" "$HOME/bucket"
  if ! mkdir -p "$HOME/bucket/logs" || ! touch "$HOME/bucket/logs/.worker-$(number)"; then
    echo "gs://$1 cannot be written by this VM's service account; it needs" \
      "roles/storage.objectUser on it: gcloud storage buckets add-iam-policy-binding" >&2
    return 2
  fi
}

setup() {
  mount_bucket "$2"
  [[ $(cat "$HOME/pa_jax/.code" 2>/dev/null) != "$1" ]] || return 0
  command -v uv >/dev/null || curl -LsSf https://astral.sh/uv/install.sh | sh
  cd "$HOME/pa_jax"
  # Its own Python: the VM images bring an older one.
  [[ -x .venv/bin/python ]] || uv venv --python 3.12 .venv
  uv pip install -q --python .venv/bin/python -e ".[tpu]"
  echo "$1" >.code
}

run() {
  local run=$1
  mount_bucket "$2"
  if ! flock -n "$LOCK" true; then
    echo "worker $(number): a job is running already; left alone"
    return 0
  fi
  mkdir -p "$LOGS/$run"
  rm -f "$LOGS/$run/status"
  # -o: only flock itself holds the lock, not what the job leaves behind.
  setsid nohup flock -n -o "$LOCK" bash "$0" job "$run" "${@:3}" >/dev/null 2>&1 </dev/null &
  echo "worker $(number): started"
}

gather() {
  mkdir -p "$HOME/bucket/logs/$1" && cp "$LOGS/$1"/*.log "$HOME/bucket/logs/$1/"
}

job() {
  local run=$1 status=0 log
  log=$LOGS/$run/worker-$(number)-$(date -u +%Y%m%dT%H%M%S).log
  echo "$run" >"$LOGS/running"
  : >"$log"
  (while sleep "$LOG_SECONDS"; do gather "$run" || true; done) &
  local gatherer=$!
  cd "$HOME/pa_jax"
  export JAX_COMPILATION_CACHE_DIR=$HOME/bucket/cache/xla # still there after a preemption
  .venv/bin/python -m pa_jax.main "${@:2}" --workdir="$HOME/bucket/runs/$run" >>"$log" 2>&1 &
  echo $! >"$LOGS/pid"
  wait $! || status=$?
  kill "$gatherer" 2>/dev/null || true
  echo "$status" >"$LOGS/$run/status"
  rm -f "$LOGS/pid"
  gather "$run"
}

status() {
  if ! flock -n "$LOCK" true; then
    echo running
  elif [[ -f $LOGS/$1/status ]]; then
    echo "ended $(cat "$LOGS/$1/status")"
  else
    echo none
  fi
}

stop() {
  [[ ! -f $LOGS/pid ]] || kill "$(cat "$LOGS/pid")" 2>/dev/null || true
  # The job may want to save; what it does not end in time goes with the VM.
  flock -w "${STOP_SECONDS:-120}" "$LOCK" true || true
  [[ ! -f $LOGS/running ]] || gather "$(cat "$LOGS/running")"
}

case ${1:-} in
  setup | run | job | status | stop) "$@" ;;
  *)
    echo "worker.sh '${1:-}'; allowed: setup, run, status, stop" >&2
    exit 2
    ;;
esac

#!/usr/bin/env bash
# tpu/launch.sh [--keep] RUN --config=configs/NAME.py[:PRESET] [--config.KEY=VALUE ...]
# The same command on every worker, in gs://BUCKET/runs/RUN; logs go to gs://BUCKET/logs/RUN.
# Run it again after a preemption: the slice is made anew and the run goes on from its last
# checkpoint. A run that is going on is left alone. --keep: stay, and do that whenever it is needed.
# shellcheck source=tpu/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
keep=no
[[ ${1:-} != --keep ]] || { keep=yes && shift; }
run=${1:-}
shift || true
[[ $run =~ ^[a-z0-9][a-z0-9._-]*$ ]] ||
  die "RUN='$run'; allowed: a-z, 0-9, '.', '_' and '-'; use tpu/launch.sh [--keep] RUN --config=..."
[[ ${1:-} == --config=* ]] ||
  die "after RUN comes '${1:-}'; allowed: the options of python -m pa_jax.main, --config=... first."
for option in "$@"; do
  [[ $option != --workdir* ]] || die "'$option'; the workdir follows from RUN; leave it out."
done
check_env
check_cloud
look
[[ $STATE != ABSENT ]] || die "there is no slice $NAME; one is needed; run tpu/create.sh."

start() {
  local options
  printf -v options ' %q' "$@"
  "$HERE/create.sh" && "$HERE/setup.sh" &&
    on_workers "bash pa_jax/tpu/worker.sh run $run $BUCKET$options" &&
    say "run $run; its log: gcloud storage cat 'gs://$BUCKET/logs/$run/worker-0-*.log'"
}

start "$@" || die "run $run was not started on every worker; see above; run tpu/launch.sh again."
while [[ $keep == yes ]]; do
  sleep "$POLL_SECONDS"
  try_look || continue # the network here may come back
  if [[ $STATE == ACTIVE ]] &&
    answer tpus tpu-vm ssh "$NAME" --worker=0 --command="bash pa_jax/tpu/worker.sh status $run"; then
    case $ANSWER in
      running) continue ;;
      "ended 143") ;; # stopped before its end by a signal, all saved
      "ended 0") say "run $run has ended; tpu/teardown.sh stops the costs" && exit 0 ;;
      ended*) die "run $run $ANSWER; see gs://$BUCKET/logs/$run, correct it and launch again." ;;
    esac
  fi
  say "run $run is not going on (slice: $STATE); bringing it back"
  start "$@" || say "not yet; trying again"
done

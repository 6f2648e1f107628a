#!/usr/bin/env bash
# Stop the job, gather its logs and delete the slice: nothing is charged for it any more. The
# bucket stays. Safe to run again.
# shellcheck source=tpu/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
check_env
check_cloud
look
if [[ $STATE == ABSENT ]]; then
  say "there is no slice $NAME in $ZONE: nothing to delete"
else
  if [[ $STATE == ACTIVE ]]; then
    on_workers "bash pa_jax/tpu/worker.sh stop" || say "the workers do not answer; deleting anyway"
  fi
  answer tpus queued-resources delete "$NAME" --force ||
    die "the slice $NAME is not deleted and costs money ($WHY); run tpu/teardown.sh again, or" \
      "delete it in the console."
  say "slice $NAME is deleted"
fi
say "gs://$BUCKET stays, with runs and logs; gcloud storage rm --recursive gs://$BUCKET deletes it"

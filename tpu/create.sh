#!/usr/bin/env bash
# Make the bucket and the slice, and wait until the slice is there. Safe to run again at any time:
# what exists is kept, a wait that was broken off goes on, a preempted slice is asked for anew.
# shellcheck source=tpu/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
check_env
check_cloud

if ! answer gcloud storage buckets describe "gs://$BUCKET" --format='value(name)'; then
  # With a hierarchical namespace, renaming a folder (a finished checkpoint) is one step.
  answer gcloud storage buckets create "gs://$BUCKET" --project="$PROJECT" \
    --location="${ZONE%-*}" --uniform-bucket-level-access --enable-hierarchical-namespace ||
    die "BUCKET='$BUCKET' can be neither seen nor made ($WHY); names are global: take another" \
      "in tpu/env.sh, or have access granted."
  say "bucket gs://$BUCKET made in ${ZONE%-*}"
fi

ask() {
  local how=()
  [[ $SPOT == no ]] || how=(--spot)
  answer tpus queued-resources create "$NAME" --node-id="$NAME" \
    --accelerator-type="$(accelerator)" --runtime-version="$(runtime)" \
    --scopes=https://www.googleapis.com/auth/cloud-platform ${how[@]+"${how[@]}"} ||
    die "the slice was refused ($WHY); quota for $TYPE in $ZONE (spot: $SPOT) is needed; ask for" \
      "it in the console, or change TYPE, ZONE or SPOT in tpu/env.sh."
  asked=yes
}

asked=no last=""
while true; do
  look
  [[ $STATE == "$last" ]] || say "slice $NAME ($TYPE, $ZONE, spot: $SPOT): $STATE"
  last=$STATE
  case $STATE in
    ACTIVE)
      # For a moment after a preemption the request is still ACTIVE while its node is gone.
      answer tpus tpu-vm describe "$NAME" --format='value(state)' || true
      [[ $ANSWER != READY ]] || exit 0
      ;;
    ABSENT) ask ;;
    SUSPENDED | FAILED)
      if [[ $STATE == FAILED && $asked == yes ]]; then
        answer tpus queued-resources describe "$NAME" \
          --format='value(state.failedData.error.message)' || true
        die "the slice could not be made (${ANSWER:-no reason given}); capacity and quota are" \
          "needed; try again later, or change TYPE, ZONE or SPOT in tpu/env.sh."
      fi
      answer tpus queued-resources delete "$NAME" --force || die "not deleted: $WHY"
      ask
      ;;
    ACCEPTED | CREATING | PROVISIONING | WAITING_FOR_RESOURCES | SUSPENDING | DELETING) ;;
    *) die "the slice is $STATE, which is not known here; look at it in the console." ;;
  esac
  sleep "$POLL_SECONDS"
done

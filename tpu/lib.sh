# shellcheck shell=bash
# Sourced by the scripts beside it: settings checked, and what they share.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tpu/env.sh
source "$HERE/env.sh"
POLL_SECONDS=${POLL_SECONDS:-30}

say() { printf '%s\n' "$*"; }
die() {
  printf 'tpu: %s\n' "$*" >&2
  exit 2
}

# wants NAME VALUE PATTERN ALLOWED: one setting of env.sh.
wants() {
  [[ $2 =~ ^($3)$ ]] || die "$1='$2' in tpu/env.sh; allowed: $4; set it there."
}

check_env() {
  wants PROJECT "$PROJECT" '[a-z][a-z0-9-]{4,28}[a-z0-9]' "a project id (gcloud projects list)"
  wants ZONE "$ZONE" '[a-z]+-[a-z]+[0-9]+-[a-z]' "a zone such as us-west4-a"
  wants NAME "$NAME" '[a-z][a-z0-9-]{0,38}[a-z0-9]' "2 to 40 of a-z, 0-9 and -"
  # The names of configs/plan.py, and v4, of which it knows no chip.
  wants TYPE "$TYPE" '(v4|v5e|v5litepod|v5p|v6e)-[0-9]+' "v4-N, v5e-N, v5p-N or v6e-N"
  wants BUCKET "$BUCKET" '[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]' "a bucket name, without gs://"
  wants SPOT "$SPOT" 'yes|no' "yes or no"
}

# What Google Cloud calls the type, and the VM image of that generation.
accelerator() { say "${TYPE/#v5e-/v5litepod-}"; }
runtime() {
  case $TYPE in
    v4-*) say tpu-ubuntu2204-base ;;
    v5p-*) say v2-alpha-tpuv5 ;;
    v6e-*) say v2-alpha-tpuv6e ;;
    *) say v2-alpha-tpuv5-lite ;;
  esac
}

# What GKE calls the type: ACCELERATOR, TOPOLOGY, HOSTS and CHIPS (of each).
gke_slice() {
  local generation=${TYPE%-*} number=${TYPE#*-} flat cubes
  flat=(1 1x1 4 2x2 8 2x4 16 4x4 32 4x8 64 8x8 128 8x16 256 16x16)
  cubes=(8 2x2x1 16 2x2x2 32 2x2x4 64 2x4x4 128 4x4x4 256 4x4x8 512 4x8x8 1024 8x8x8)
  # shellcheck disable=SC2034 # for the script that sources this
  case $generation in
    v5e | v5litepod) ACCELERATOR=tpu-v5-lite-podslice ;;
    v6e) ACCELERATOR=tpu-v6e-slice ;;
    v5p) ACCELERATOR=tpu-v5p-slice ;;
    v4) ACCELERATOR=tpu-v4-podslice ;;
  esac
  local table=("${flat[@]}") chips=$number i
  [[ $generation != v5p && $generation != v4 ]] || table=("${cubes[@]}") chips=$((number / 2))
  TOPOLOGY=
  for ((i = 0; i < ${#table[@]}; i += 2)); do
    [[ ${table[i]} != "$number" ]] || TOPOLOGY=${table[i + 1]}
  done
  [[ -n $TOPOLOGY ]] || die "TYPE='$TYPE' is no slice; allowed are the names of configs/plan.py" \
    "($generation-4, $generation-16, ...); change TYPE in tpu/env.sh."
  CHIPS=$((chips < 4 ? chips : 4))
  # shellcheck disable=SC2034
  HOSTS=$((chips / CHIPS))
}

# tpus COMMAND...: gcloud compute tpus, here, without questions.
tpus() { gcloud compute tpus "$@" --project="$PROJECT" --zone="$ZONE" --quiet; }

# answer COMMAND...: what it printed, in $ANSWER; or its status, and one line of its complaint in $WHY.
answer() {
  local complaint status=0
  complaint=$(mktemp)
  ANSWER=$("$@" 2>"$complaint") || status=$?
  WHY=$(tr '\n' ' ' <"$complaint" | cut -c1-300)
  rm -f "$complaint"
  return "$status"
}

check_cloud() {
  command -v gcloud >/dev/null ||
    die "gcloud is not on PATH; it is needed; install it from https://cloud.google.com/sdk."
  answer gcloud auth list --filter=status:ACTIVE --format='value(account)' || die "gcloud: $WHY"
  [[ -n $ANSWER ]] ||
    die "gcloud has no active account; one with access to $PROJECT is needed; run gcloud auth login."
  answer gcloud projects describe "$PROJECT" --format='value(projectId)' ||
    die "PROJECT='$PROJECT' cannot be seen ($WHY); allowed: one of gcloud projects list;" \
      "correct tpu/env.sh or log in as somebody else."
  answer tpus accelerator-types list --format='value(name.basename())' ||
    die "ZONE='$ZONE' cannot be asked ($WHY); allowed: one of gcloud compute tpus locations list;" \
      "correct tpu/env.sh, or run gcloud services enable tpu.googleapis.com --project=$PROJECT."
  grep -qx -- "$(accelerator)" <<<"$ANSWER" ||
    die "TYPE='$TYPE' is not offered in $ZONE; allowed there: $(tr '\n' ' ' <<<"$ANSWER");" \
      "change TYPE or ZONE in tpu/env.sh."
}

# State of the slice's queued resource in $STATE: ABSENT, ACTIVE, SUSPENDED (preempted), ...
# Returns 1, with $WHY, where it cannot be told.
try_look() {
  # shellcheck disable=SC2034 # for the scripts that source this
  if answer tpus queued-resources describe "$NAME" --format='value(state.state)'; then
    STATE=$ANSWER
  elif [[ $WHY == *NOT_FOUND* ]]; then
    STATE=ABSENT
  else
    return 1
  fi
}

look() {
  try_look ||
    die "the slice $NAME cannot be seen ($WHY); a TPU Admin of $PROJECT can; check your roles."
}

# The same command on every worker.
on_workers() { tpus tpu-vm ssh "$NAME" --worker=all --command="$1"; }

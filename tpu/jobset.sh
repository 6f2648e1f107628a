#!/usr/bin/env bash
# tpu/jobset.sh IMAGE RUN --config=configs/NAME.py[:PRESET] [--config.KEY=VALUE ...] | kubectl apply -f -
# Prints tpu/jobset.yaml for the slice TYPE of tpu/env.sh; the run's folder is gs://BUCKET/runs/RUN.
# shellcheck source=tpu/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
image=${1:-} run=${2:-}
shift $(($# < 2 ? $# : 2))
[[ $image =~ ^[a-zA-Z0-9][a-zA-Z0-9._/:@-]*$ ]] ||
  die "IMAGE='$image'; allowed: REGISTRY/NAME:TAG; build it from tpu/Dockerfile."
[[ ${1:-} == --config=* ]] ||
  die "after RUN comes '${1:-}'; allowed: the options of python -m pa_jax.main, --config=... first."
for option in "$@"; do
  [[ $option != --workdir* ]] || die "'$option'; the workdir follows from RUN; leave it out."
  [[ $option != *[\"\\]* ]] || die "'$option'; quotation marks and \\ are not allowed here."
done
check_env
gke_slice
# Jobs and pods are named NAME-RUN-slice-0-HOST-xxxxx, and Kubernetes takes 63 characters.
suffix=-slice-0-$((HOSTS - 1))-xxxxx
[[ $run =~ ^[a-z0-9]([a-z0-9-]*[a-z0-9])?$ ]] ||
  die "RUN='$run'; allowed: a-z, 0-9 and '-', no '-' at its end (Kubernetes takes no others)."
room=$((63 - ${#suffix} - ${#NAME} - 1))
((${#run} <= room)) ||
  die "RUN='$run' has ${#run} characters; allowed beside NAME='$NAME' are $room; shorten either."

printf -v args ', "%s"' "$@" "--workdir=/bucket/runs/$run"
spot=false
[[ $SPOT == no ]] || spot=true
fill=(ACCELERATOR "$ACCELERATOR" TOPOLOGY "$TOPOLOGY" HOSTS "$HOSTS" CHIPS "$CHIPS" NAME "$NAME"
  RUN "$run" IMAGE "$image" BUCKET "$BUCKET" SPOT "$spot" ARGS "[${args:2}]")
manifest=$(<"$HERE/jobset.yaml")
for ((i = 0; i < ${#fill[@]}; i += 2)); do
  manifest=${manifest//"\${${fill[i]}}"/"${fill[i + 1]}"}
done
[[ $spot == true ]] || manifest=$(grep -v 'gke-spot' <<<"$manifest")
say "$manifest"

#!/usr/bin/env bash
# Install this checkout on every worker and mount the bucket there. Safe to run again: workers that
# have this very code are left alone; while a job runs, its code is not changed.
# shellcheck source=tpu/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
check_env
check_cloud
look
[[ $STATE == ACTIVE ]] || die "the slice $NAME is $STATE; ACTIVE is needed; run tpu/create.sh."

cd "$HERE/.."
parts=(pyproject.toml README.md LICENSE pa_jax configs tpu)
code=$(find "${parts[@]}" -type f ! -path '*/__pycache__/*' -print0 | LC_ALL=C sort -z |
  xargs -0 sha256sum | sha256sum | cut -c1-16)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
tar --exclude=__pycache__ -czf "$scratch/pa_jax-$code.tgz" "${parts[@]}"
answer tpus tpu-vm scp "$scratch/pa_jax-$code.tgz" "$NAME:" --worker=all ||
  die "the workers cannot be reached ($WHY); the slice may just have been preempted; run tpu/create.sh."
# Unpacked by the first line alone; the rest is the checkout's own tpu/worker.sh.
on_workers "set -e; mkdir -p pa_jax; [ \"\$(cat pa_jax/.code 2>/dev/null)\" = $code ] ||
  flock -n -E 75 .pa_jax.lock sh -c 'rm -rf pa_jax/pa_jax pa_jax/configs pa_jax/tpu &&
    tar -xzf pa_jax-$code.tgz -C pa_jax'; rm -f pa_jax-*.tgz
  bash pa_jax/tpu/worker.sh setup $code $BUCKET" ||
  die "setup failed on a worker (its messages are above; 75: a job is running on other code);" \
    "correct it, or wait for the job or stop it with tpu/teardown.sh, and run tpu/setup.sh again."
say "every worker of $NAME has code $code, and gs://$BUCKET as ~/bucket"

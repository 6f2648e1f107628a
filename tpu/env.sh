# shellcheck shell=bash disable=SC2034
# What the scripts in this folder act on. The only file to edit.

PROJECT=""        # Google Cloud project id: gcloud projects list
ZONE=""           # a zone with TPUs of that type, such as us-west4-a: gcloud compute tpus locations list
NAME="pa-jax"     # name of the slice
TYPE="v5e-16"     # v4-N, v5e-N, v5p-N or v6e-N; configs/plan.py says what fits
BUCKET=""         # without gs://; made in the zone's region where it does not exist
SPOT="yes"        # yes: cheaper, may be taken back at any time; no: on demand

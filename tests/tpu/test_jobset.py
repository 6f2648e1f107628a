"""The JobSet manifest, filled in as its first lines say: it fits the slice and the image."""

import math
import pathlib
import re
import string

import yaml

TPU = pathlib.Path(__file__).resolve().parent.parent.parent / "tpu"
VALUES = {
    "NAME": "pa-jax",
    "BUCKET": "my-bucket",
    "IMAGE": "registry/pa_jax:1",
    "RUN": "first",
    "CONFIG": "configs/grpo.py:tiny",
}


def pod_and_job():
    text = string.Template((TPU / "jobset.yaml").read_text()).substitute(VALUES)
    jobset = yaml.safe_load(text)
    assert jobset["apiVersion"] == "jobset.x-k8s.io/v1alpha2" and jobset["kind"] == "JobSet"
    (job,) = jobset["spec"]["replicatedJobs"]
    return job["template"]["spec"]["template"]["spec"], job["template"]["spec"]


def test_hosts_times_chips_are_the_topology():
    pod, job = pod_and_job()
    (container,) = pod["containers"]
    topology = pod["nodeSelector"]["cloud.google.com/gke-tpu-topology"]
    chips = container["resources"]["limits"]["google.com/tpu"]
    assert job["parallelism"] == job["completions"]
    assert job["parallelism"] * chips == math.prod(map(int, topology.split("x")))
    assert container["resources"]["requests"] == container["resources"]["limits"]


def test_the_workdir_lies_on_the_mounted_bucket():
    pod, _ = pod_and_job()
    (container,), (volume,) = pod["containers"], pod["volumes"]
    (mount,) = container["volumeMounts"]
    assert mount["name"] == volume["name"]
    assert volume["csi"]["volumeAttributes"]["bucketName"] == "my-bucket"
    workdir = next(a for a in container["args"] if a.startswith("--workdir="))
    assert workdir == f"--workdir={mount['mountPath']}/runs/first"


def test_the_image_holds_what_the_command_needs():
    lines = (TPU / "Dockerfile").read_text().splitlines()
    copied = {name for line in lines if line.startswith("COPY") for name in line.split()[1:-1]}
    for name in copied:
        assert (TPU.parent / name).exists(), name
    pod, _ = pod_and_job()
    config = next(a for a in pod["containers"][0]["args"] if a.startswith("--config="))
    assert config.removeprefix("--config=").split("/")[0] in copied
    assert 'ENTRYPOINT ["python", "-m", "pa_jax.main"]' in lines


def test_the_readme_names_what_exists():
    text = (TPU / "README.md").read_text()
    for name in set(re.findall(r"[` ]tpu/([\w.]+)", text)):
        assert (TPU / name).exists(), name

"""The JobSet that tpu/jobset.sh prints: it fits slice and image, and fails as it should."""

import math
import pathlib
import re
import shutil
import subprocess

import pytest
import yaml

from pa_jax.plan import topology

TPU = pathlib.Path(__file__).resolve().parent.parent.parent / "tpu"
CONFIG = "--config=configs/grpo.py:tiny"
ENV = {"PROJECT": "my-project", "ZONE": "us-west4-a", "BUCKET": "my-bucket", "NAME": "pa-jax"}


def run(folder, *options, **env):
    """The script beside an env.sh with these settings."""
    shutil.copytree(TPU, folder / "tpu", dirs_exist_ok=True)
    text = (TPU / "env.sh").read_text()
    for key, value in (ENV | env).items():
        text = re.sub(rf'(?m)^{key}="[^"]*"', f'{key}="{value}"', text)
    (folder / "tpu" / "env.sh").write_text(text)
    command = [folder / "tpu" / "jobset.sh", *options]
    return subprocess.run(command, capture_output=True, text=True)


def manifest(folder, *options, run_name="first", **env):
    done = run(folder, "registry/pa_jax:1", run_name, CONFIG, *options, **env)
    assert done.returncode == 0, done.stderr
    jobset = yaml.safe_load(done.stdout)
    assert jobset["apiVersion"] == "jobset.x-k8s.io/v1alpha2" and jobset["kind"] == "JobSet"
    return jobset


def pod_and_job(jobset):
    (job,) = jobset["spec"]["replicatedJobs"]
    return job["template"]["spec"]["template"]["spec"], job["template"]["spec"]


@pytest.mark.parametrize("name", [*topology.SLICES, "v5litepod-16"])
def test_a_slice_of_the_plan_is_the_slice_that_is_launched(tmp_path, name):
    pod, job = pod_and_job(manifest(tmp_path, TYPE=name))
    slice_ = topology.named(name)
    (container,) = pod["containers"]
    shape = pod["nodeSelector"]["cloud.google.com/gke-tpu-topology"]
    assert shape == slice_.topology.partition(":")[2]
    assert (
        slice_.chip.name.replace("v5e", "v5-lite")
        in (pod["nodeSelector"]["cloud.google.com/gke-tpu-accelerator"])
    )
    chips = container["resources"]["limits"]["google.com/tpu"]
    assert chips == math.prod(slice_.bounds)
    assert job["parallelism"] == job["completions"]
    assert job["parallelism"] * chips == slice_.chips == math.prod(map(int, shape.split("x")))
    assert container["resources"]["requests"] == container["resources"]["limits"]


def test_the_workdir_lies_on_the_mounted_bucket_and_options_arrive_whole(tmp_path):
    pod, _ = pod_and_job(manifest(tmp_path, "--config.lengths=(256, 512)", SPOT="no"))
    (container,), (volume,) = pod["containers"], pod["volumes"]
    (mount,) = container["volumeMounts"]
    assert mount["name"] == volume["name"]
    assert volume["csi"]["volumeAttributes"]["bucketName"] == "my-bucket"
    workdir = f"--workdir={mount['mountPath']}/runs/first"
    assert container["args"] == [CONFIG, "--config.lengths=(256, 512)", workdir]
    assert not [key for key in pod["nodeSelector"] if "spot" in key]


def what_follows(jobset, status, condition=""):
    """The set's action where a pod ends so: the pod rules, then those of the set, first match."""
    pod, job = pod_and_job(jobset)
    for index, rule in enumerate(job["podFailurePolicy"]["rules"]):
        codes, conditions = rule.get("onExitCodes"), rule.get("onPodConditions", ())
        if codes:
            assert codes["operator"] == "In" and rule["action"] == "FailJob"
            assert codes["containerName"] == pod["containers"][0]["name"]
        hit = status in codes["values"] if codes else condition in [c["type"] for c in conditions]
        if hit:
            reason, message = "PodFailurePolicy", f"... matching FailJob rule at index {index}"
            break
    else:
        reason, message = "BackoffLimitExceeded", "Job has reached the specified backoff limit"
    for rule in jobset["spec"]["failurePolicy"]["rules"]:
        patterns = rule["onJobFailureMessagePatterns"]
        if reason in rule["onJobFailureReasons"] and any(re.search(p, message) for p in patterns):
            return rule["action"]
    return "RestartJobSet"


def test_a_bad_config_fails_the_set_and_a_preemption_does_not_count(tmp_path):
    jobset = manifest(tmp_path)
    assert pod_and_job(jobset)[0]["restartPolicy"] == "Never"  # as pod rules want it
    assert what_follows(jobset, 2) == "FailJobSet"
    unlimited = "RestartJobSetAndIgnoreMaxRestarts"
    assert what_follows(jobset, 143, "DisruptionTarget") == unlimited
    assert what_follows(jobset, 137, "DisruptionTarget") == unlimited
    assert what_follows(jobset, 143) == unlimited  # it stopped with one that was preempted
    assert what_follows(jobset, 1) == what_follows(jobset, 134) == "RestartJobSet"
    assert 0 < jobset["spec"]["failurePolicy"]["maxRestarts"] <= 10


@pytest.mark.parametrize(
    ("name", "run_name", "says"),
    [
        ("pa-jax", "a.b", "RUN='a.b'; allowed: a-z, 0-9 and '-'"),
        ("pa-jax", "a_b", "RUN='a_b'; allowed"),
        ("pa-jax", "a-", "RUN='a-'; allowed"),
        ("pa-jax", "r" * 41, "has 41 characters; allowed beside NAME='pa-jax' are 40"),
        ("n" * 40, "r" * 7, "has 7 characters; allowed beside NAME='n+' are 6"),
    ],
)
def test_names_that_jobset_refuses_are_refused_here(tmp_path, name, run_name, says):
    done = run(tmp_path, "registry/pa_jax:1", run_name, CONFIG, NAME=name)
    assert done.returncode == 2 and not done.stdout
    assert re.search(says, done.stderr) and done.stderr.count("\n") == 1


def test_the_longest_name_that_is_taken_makes_a_pod_name_of_63(tmp_path):
    jobset = manifest(tmp_path, run_name="r" * 40)
    (job,) = jobset["spec"]["replicatedJobs"]
    last = job["template"]["spec"]["completions"] - 1
    assert len(f"{jobset['metadata']['name']}-{job['name']}-0-{last}-abcde") == 63


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ((), "IMAGE=''"),
        (("img:1",), "RUN=''|after RUN comes ''"),
        (("img:1", "first", "--workdir=/x"), "after RUN comes '--workdir=/x'"),
        (("img:1", "first", CONFIG, "--workdir=/x"), "the workdir follows from RUN"),
        (("img:1", "first", CONFIG, '--config.source="x"'), "quotation marks"),
    ],
)
def test_what_it_takes_is_said(tmp_path, options, says):
    done = run(tmp_path, *options)
    assert done.returncode == 2 and re.search(says, done.stderr)


def test_a_type_that_is_no_slice_is_refused(tmp_path):
    done = run(tmp_path, "img:1", "first", CONFIG, TYPE="v5e-17")
    assert done.returncode == 2 and "TYPE='v5e-17' is no slice" in done.stderr


def test_the_image_holds_what_the_command_needs(tmp_path):
    lines = (TPU / "Dockerfile").read_text().splitlines()
    copied = {name for line in lines if line.startswith("COPY") for name in line.split()[1:-1]}
    for name in copied:
        assert (TPU.parent / name).exists(), name
    pod, _ = pod_and_job(manifest(tmp_path))
    config = next(a for a in pod["containers"][0]["args"] if a.startswith("--config="))
    assert config.removeprefix("--config=").split("/")[0] in copied
    assert 'ENTRYPOINT ["python", "-m", "pa_jax.main"]' in lines


def test_the_readme_names_what_exists():
    text = (TPU / "README.md").read_text()
    for name in set(re.findall(r"[` ]tpu/([\w.]+)", text)):
        assert (TPU / name).exists(), name

"""How many CPU devices a process of the tests has, and how its programs are compiled."""


def flags(count: int) -> str:
    """XLA_FLAGS for so many devices.

    The arrays are tiny, so compiling costs more than running; half of it is the emitters that lower
    a fusion by way of MLIR, and XLA has others.
    """
    return f"--xla_force_host_platform_device_count={count} --xla_cpu_use_fusion_emitters=false"

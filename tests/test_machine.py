"""What the machine says of itself, which device is chosen, and what the doctor finds."""

import importlib
import os
import subprocess
import sys
import time
import warnings
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from roadtest.machine import choose_device, describe_machine, device, doctor, doctor_findings, wait_for_device
from roadtest.machine import environment as describe
from roadtest.records import Machine


@pytest.fixture(autouse=True)
def _forget_what_was_looked_up() -> None:
    for cached in (describe.cpu_name, describe.cpu_flags, describe._cgroup_folders):
        cached.cache_clear()


def fake_files(monkeypatch: pytest.MonkeyPatch, files: dict[str, str]) -> None:
    """Let the machine read these files and find no others."""
    monkeypatch.setattr(describe, "_text", lambda path: files.get(Path(path).as_posix(), "").strip())


EPYC = "processor\t: 0\nmodel name\t: AMD EPYC 9354\nflags\t\t: fpu sse2 avx2 avx512f avx512_bf16 avx512_vnni rdtscp\n"
RASPBERRY = "processor\t: 0\nFeatures\t: fp asimd evtstrm bf16\nModel\t\t: Raspberry Pi 5\n"


def test_a_machine_describes_itself() -> None:
    machine = describe_machine()
    assert isinstance(machine, Machine)
    assert machine.cpu_name and machine.num_cores >= 1 and machine.memory_bytes > 1 << 28
    assert {"roadtest", "torch", "numpy", "pillow"} <= set(machine.versions)
    assert machine.versions["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert machine.load is not None and 0 <= machine.load <= 1


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("cpuinfo", "name", "flags"),
    [
        (EPYC, "AMD EPYC 9354", ("avx2", "avx512f", "avx512_bf16", "avx512_vnni")),
        (RASPBERRY, "Raspberry Pi 5", ("asimd", "bf16")),
    ],
)
def test_only_the_instructions_that_decide_speed_are_kept(
    monkeypatch: pytest.MonkeyPatch, cpuinfo: str, name: str, flags: tuple[str, ...]
) -> None:
    fake_files(monkeypatch, {"/proc/cpuinfo": cpuinfo})
    assert (describe.cpu_name(), describe.cpu_flags()) == (name, flags)


def test_an_unknown_processor_still_has_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_files(monkeypatch, {})
    assert describe.cpu_name()


@pytest.mark.parametrize(
    ("cpu_max", "num_cores"),
    [("200000 100000", 2), ("max 100000", 8), ("50000 100000", 1), ("", 8), ("1600000 100000", 8)],
)
def test_a_containers_limit_on_processor_time_counts_as_fewer_cores(
    monkeypatch: pytest.MonkeyPatch, cpu_max: str, num_cores: int
) -> None:
    monkeypatch.setattr(describe, "_usable_core_numbers", lambda: set(range(8)))
    files = {"/proc/self/cgroup": "0::/pod/box\n", "/sys/fs/cgroup/pod/cpu.max": cpu_max}
    fake_files(monkeypatch, files | {"/sys/fs/cgroup/pod/box/cpu.max": "max 100000"})
    assert describe.count_usable_cores() == num_cores


def test_a_containers_memory_limit_is_the_memory_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    box = "/sys/fs/cgroup/box"
    fake_files(
        monkeypatch,
        {"/proc/self/cgroup": "0::/box\n", f"{box}/memory.max": "104857600", f"{box}/memory.current": "4857600"},
    )
    assert describe.count_usable_memory_bytes() == 104_857_600
    assert describe.count_free_memory_bytes() == 100_000_000


def test_a_hostile_group_name_does_not_lead_out_of_the_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_files(monkeypatch, {"/proc/self/cgroup": "0::/../../etc\n"})
    assert describe._cgroup_folders() == (Path("/sys/fs/cgroup"),)


def test_a_package_that_is_not_installed_has_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(describe, "LIBRARIES", ("numpy", "no-such-package-here"))
    assert set(describe.installed_versions()) == {"numpy"}


def git(folder: Path, *words: str) -> str:
    command = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    return subprocess.run([*command, *words], capture_output=True, text=True, check=True).stdout.strip()


def test_a_checkouts_commit_carries_a_plus_where_files_differ(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    assert describe.checkout_commit(tmp_path) is None  # no commit yet
    (tmp_path / "a.txt").write_text("1")
    git(tmp_path, "add", "a.txt")
    git(tmp_path, "commit", "-q", "-m", "first")
    commit = git(tmp_path, "rev-parse", "HEAD")
    (tmp_path / "new.txt").write_text("results of a run are not changes")
    assert describe.checkout_commit(tmp_path) == commit
    (tmp_path / "a.txt").write_text("2")
    assert describe.checkout_commit(tmp_path) == f"{commit}+"


def test_an_installed_package_has_no_commit_even_inside_somebodys_checkout(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / "lib").mkdir()
    assert describe.checkout_commit(tmp_path / "lib") is None


def test_a_command_that_is_missing_fails_or_hangs_says_nothing() -> None:
    assert describe.command_output("no-such-command-here") == ""
    assert describe.command_output(sys.executable, "-c", "print(3); raise SystemExit(1)") == ""
    assert describe.command_output(sys.executable, "-c", "print(3)") == "3"


def test_our_own_work_is_not_that_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    # Two cores have been busy for 10 s each, 8 s of it ours; idle, waiting and guest time are not work.
    core = SimpleNamespace(_fields=("user", "system", "idle", "iowait", "guest"), user=7, system=3, idle=90, iowait=5)
    core.guest = 2
    monkeypatch.setattr(describe.psutil, "cpu_times", lambda percpu: [core, core, core])
    monkeypatch.setattr(describe, "_usable_core_numbers", lambda: {0, 2})
    monkeypatch.setattr(describe.os, "times", lambda: SimpleNamespace(user=6.0, system=2.0))
    assert describe.others_cpu_seconds() == 2 * 10 - 8


def test_the_load_is_what_others_use_of_the_cores_we_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(describe, "others_cpu_seconds", lambda: 3 * time.perf_counter())
    monkeypatch.setattr(describe, "count_usable_cores", lambda: 4)
    assert describe.measure_load() == pytest.approx(0.75, rel=0.05)


def test_a_moment_is_too_short_to_call_the_machine_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter((0.0, 0.01))  # one tick of the clock
    monkeypatch.setattr(describe, "others_cpu_seconds", lambda: next(moments))
    clock = iter((0.0, 0.005))
    monkeypatch.setattr(describe.time, "perf_counter", lambda: next(clock))
    assert describe.watch_load()() == 0.0


def test_the_other_runs_of_a_study_are_no_load(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter((0.0, 10.0))  # others worked for 10 s of 4, ...
    kin = iter(({7: 1.0, 8: 5.0}, {7: 4.0, 9: 2.0}))  # ... 3 s of them were process 7's; 8 ended, 9 is new: not known
    monkeypatch.setattr(describe, "others_cpu_seconds", lambda: next(moments))
    monkeypatch.setattr(describe, "_kin_cpu_seconds", lambda: next(kin))
    monkeypatch.setattr(describe, "count_usable_cores", lambda: 4)
    clock = iter((0.0, 4.0))
    monkeypatch.setattr(describe.time, "perf_counter", lambda: next(clock))
    load = describe.watch_load(has_siblings=True)
    assert load() == round((10 - 3) / 4 / 4, 3)


@pytest.mark.slow
def test_workers_of_one_parent_are_kin_and_none_is_its_own() -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as sibling:
        try:
            code = "import os; from roadtest.machine import environment as e; print(os.getpid(), *e._kin_cpu_seconds())"
            told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
        finally:
            sibling.kill()
    me, *kin = map(int, told.split())
    assert {sibling.pid, os.getpid()} <= set(kin) and me not in kin


@pytest.mark.slow
def test_describing_imports_no_library_it_only_asks_for_its_version() -> None:
    code = (
        "import sys; from roadtest.machine import environment; environment.installed_versions();"
        "sys.exit(any(name in sys.modules for name in ('torch', 'torchvision', 'timm')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# ------------------------------------------------------------------------------------------------------------ device


def has_accelerators(monkeypatch: pytest.MonkeyPatch, *, cuda: int = 0, mps: bool = False) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


def test_the_trial_run_passes_on_the_processor() -> None:
    state = torch.get_rng_state()
    device.probe_device("cpu")
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("cuda", "mps", "chosen"), [(0, False, "cpu"), (1, False, "cuda"), (0, True, "mps"), (1, True, "cuda")]
)
def test_auto_takes_an_accelerator_that_passes_the_trial_run(
    monkeypatch: pytest.MonkeyPatch, cuda: int, mps: bool, chosen: str
) -> None:
    has_accelerators(monkeypatch, cuda=cuda, mps=mps)
    monkeypatch.setattr(device, "probe_device", lambda _: None)
    assert (choose_device("auto"), choose_device("cpu")) == ((chosen, None), ("cpu", None))


def test_an_accelerator_that_fails_is_left_with_its_reason_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> None:
        raise NotImplementedError("grid_sampler_2d_backward is not there\nmore\nlines")

    has_accelerators(monkeypatch, mps=True)
    monkeypatch.setattr(device, "probe_device", fail)
    reason = "mps is not used, its trial run failed: grid_sampler_2d_backward is not there"
    assert choose_device("auto") == ("cpu", reason)


def test_a_driver_that_torch_complains_about_is_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def complain() -> bool:
        warnings.warn("The NVIDIA driver on your system is too old", stacklevel=1)
        return False

    has_accelerators(monkeypatch)
    monkeypatch.setattr(torch.cuda, "is_available", complain)
    assert choose_device("auto") == ("cpu", "The NVIDIA driver on your system is too old")


def test_a_device_that_was_asked_for_is_taken_or_refused_never_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    has_accelerators(monkeypatch, cuda=2)
    assert choose_device("cuda") == ("cuda", None)
    assert choose_device("cuda:1") == ("cuda:1", None)
    for word in ("cuda:2", "mps"):
        with pytest.raises(ValueError, match=f"device '{word}' is not there: torch finds"):
            choose_device(word)


@pytest.mark.parametrize("word", ["gpu", "cuda:", "cuda:x", "mps:0", "", "cpu:0", "cuda:-1", "mps:"])
def test_an_unknown_device_is_answered_with_the_choices(monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    has_accelerators(monkeypatch, cuda=1)
    with pytest.raises(ValueError, match=r"is not known: choose auto, cpu, cuda, cuda:<number> or mps"):
        choose_device(word)


# ------------------------------------------------------------------------------------------------------------ doctor


@pytest.mark.slow
def test_the_doctor_looks_at_everything_and_gives_advice_on_all_that_is_not_well(tmp_path: Path) -> None:
    findings = doctor_findings(tmp_path / "not" / "there" / "yet", GTSRB_FILES)
    topics = ["load", "processor", "threads", "arithmetic", "memory", "disk", "accelerator", "torch", "extras", "gtsrb"]
    assert [finding.topic for finding in findings] == topics
    for finding in findings:
        assert finding.severity in ("ok", "slow", "missing") and finding.text
        assert finding.advice or finding.severity == "ok", finding


def test_what_slows_a_machine_down_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(describe, "measure_load", lambda: 0.5)
    monkeypatch.setattr(describe, "count_usable_cores", lambda: 4)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    monkeypatch.setattr(describe, "count_free_memory_bytes", lambda: 1 << 30)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: SimpleNamespace(free=1 << 30))
    load, threads = doctor.check_load(), doctor.check_threads()
    assert {result.status for result in (load, threads, doctor.check_memory(), doctor.check_disk(tmp_path))} == {"slow"}
    assert "50% of the 4 cores" in load.text and "--threads 4" in threads.advice


@pytest.mark.parametrize(("flags", "text"), [(("avx2",), "is not native"), (("avx2", "amx_bf16"), "is native")])
def test_the_doctor_knows_native_bfloat16(monkeypatch: pytest.MonkeyPatch, flags: tuple[str, ...], text: str) -> None:
    monkeypatch.setattr(describe, "cpu_flags", lambda: flags)
    assert text in doctor.check_processor().text


def test_arithmetic_is_counted_in_macs(monkeypatch: pytest.MonkeyPatch) -> None:
    # One product of 768 x 768 matrices is 0.453 billion MACs; one a second.
    times = iter([0.0, 1.0, 1.0])
    monkeypatch.setattr(doctor.time, "perf_counter", lambda: next(times))
    assert doctor.measure_gmacs_per_second(torch.float32) == pytest.approx(768**3 / 1e9)


def test_a_gpu_that_torch_does_not_see_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    has_accelerators(monkeypatch)
    monkeypatch.setattr(describe, "command_output", lambda *_: "NVIDIA L4, 550.54")
    finding = doctor.check_accelerator()
    assert finding.status == "missing" and "NVIDIA L4, 550.54" in finding.text and "CUDA build" in finding.advice


def test_missing_extras_come_with_the_command_that_installs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "onnxruntime" else object())
    finding = doctor.check_extras()
    advice = "pip install -e '.[export]', in the checkout of roadtest"
    assert (finding.text, finding.advice) == ("export lacks onnxruntime", advice)


GTSRB_FILES = ("images.zip", "test.zip", "labels.zip")


@pytest.mark.parametrize(
    ("place", "names", "status", "text"),
    [
        ("absent", (), "missing", "neither a folder nor a zip"),
        (".", (), "missing", "an empty folder"),
        (".", ("00000.ppm",), "ok", "unpacked, or of others"),
        (".", GTSRB_FILES[:1], "missing", "1 of the 3 official archives"),
        (".", GTSRB_FILES, "ok", "the 3 official archives"),
        ("archive.zip", ("archive.zip",), "ok", "a zip"),
        (None, (), "missing", "ROADTEST_GTSRB is not set"),
        (None, ("gtsrb/images.zip",), "missing", "has 1 of the 3 archives"),
        (None, tuple(f"gtsrb/{name}" for name in GTSRB_FILES), "ok", "the 3 official archives, downloaded"),
    ],
)
def test_the_doctor_knows_where_gtsrb_is(
    place: str | None, names: tuple[str, ...], status: str, text: str, tmp_path: Path
) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        with zipfile.ZipFile(tmp_path / name, "w"):
            pass
    result = doctor.check_gtsrb(str(tmp_path / place) if place else None, tmp_path, GTSRB_FILES)
    assert result.status == status and result.text.endswith(text), result
    if names == GTSRB_FILES[:1]:
        assert result.advice.startswith("put test.zip and labels.zip there")


@pytest.mark.slow
def test_what_the_doctor_cannot_look_at_is_a_finding_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(*_: object) -> doctor.Result:
        raise PermissionError(13, "Permission denied", str(tmp_path))

    monkeypatch.setattr(doctor, "check_gtsrb", refuse)
    *others, last = doctor_findings(tmp_path, GTSRB_FILES)
    assert len(others) == 9
    assert (last.topic, last.severity) == ("gtsrb", "missing")
    assert last.text == f"could not be looked at: [Errno 13] Permission denied: '{tmp_path}'"


@pytest.mark.parametrize(("word", "waited"), [("cpu", []), ("cuda:1", ["cuda:1"]), ("mps", ["mps"])])
def test_whoever_reads_the_clock_waits_for_a_device_that_works_by_itself(
    word: str, waited: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[str] = []
    monkeypatch.setattr(torch.cuda, "synchronize", heard.append)
    monkeypatch.setattr(torch.mps, "synchronize", lambda: heard.append("mps"))
    wait_for_device(word)
    assert heard == waited

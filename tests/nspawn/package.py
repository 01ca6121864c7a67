"""The Debian package on booted nodes: installed, started, upgraded, removed and purged, as people do it."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.nspawn.image import Grounds, make_package
from tests.nspawn.node import Node, booted
from tests.nspawn.service import CONFIG, KEY, LOCAL, shown, status

DEBS = Path("/root/debs")
"""Where nodes find the packages."""
UNIT = "voice-agent"
THEIRS = "[log]\nlevel = 'debug'\n"
"""What an operator has changed."""
EXTRAS = "/opt/voice-agent/extras"
PRISTINE = "/run/config.toml"
"""The configuration as it was delivered."""
PASSING = (
    "/dev",
    "/proc",
    "/run",
    "/sys",
    "/tmp",
    "/var/cache",
    "/var/lib/apt",
    "/var/lib/dpkg",
    "/var/log",
    "/var/tmp",
)
KNOWN = {"/etc/group-", "/etc/gshadow-", "/etc/passwd-", "/etc/shadow-", "/etc/.pwd.lock"}
"""What the user leaves behind, who keeps his number: files of his may lie anywhere."""


def successor(package: Path, version: str) -> Path:
    """The same, of another version, which brings another configuration."""
    tree = package.parent / version
    subprocess.run(["dpkg-deb", "--raw-extract", package, tree], check=True)
    control, config = tree / "DEBIAN/control", tree / "etc/voice-agent/config.toml"
    control.write_text(control.read_text().replace("Version: ", f"Version: {version}+", 1))
    config.write_text("# Of another version.\n" + config.read_text())
    made = package.parent / f"voice-agent_{version}_all.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "--build", tree, made], check=True, capture_output=True)
    shutil.rmtree(tree)
    return made


@pytest.fixture(scope="module")
def package(grounds: Grounds, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copy(grounds.package, tmp_path_factory.mktemp("debs")))


@pytest.fixture(scope="module")
def newer(package: Path) -> Path:
    return successor(package, "9")


@pytest.fixture(scope="module")
def machine(grounds: Grounds, package: Path) -> Iterator[Node]:
    """A node without the daemon, that sees our packages."""
    with booted(grounds.bare, {package.parent: str(DEBS)}) as node:
        yield node


@pytest.fixture
def installed(machine: Node, package: Path) -> Node:
    """As right after the first installation."""
    if machine.ask("dpkg-query", "--show", "voice-agent").returncode:
        install(machine, package)
        machine.run("cp", "-p", CONFIG, PRISTINE)
    machine.run("systemctl", "disable", "--now", UNIT)
    if machine.run("dpkg-query", "--show", "--showformat=${Version}", "voice-agent") not in package.name:
        install(machine, package)
    machine.run("rm", "-rf", f"{CONFIG}.dpkg-dist", EXTRAS)
    machine.run("cp", "-p", PRISTINE, CONFIG)
    return machine


def install(node: Node, package: Path) -> str:
    """As apt does it for people who are not asked: what they have changed stays."""
    command = (
        "apt-get",
        "install",
        "--yes",
        "--no-install-recommends",
        "--allow-downgrades",
    )
    keep = ("-o", "Dpkg::Options::=--force-confold")
    return node.run("env", "DEBIAN_FRONTEND=noninteractive", *command, *keep, str(DEBS / package.name))


def enable(node: Node) -> str:
    """Its main process."""
    node.run("sh", "-c", f"cat > {CONFIG}", given=LOCAL + THEIRS)
    node.run("systemctl", "enable", "--now", UNIT)
    return shown(node, "MainPID")


def files(node: Node) -> set[str]:
    """All that may last."""
    skipped = " -o ".join(f"-path {place}" for place in PASSING)
    return set(node.run("sh", "-c", rf"find / -xdev \( {skipped} \) -prune -o -print").splitlines())


# ---------------------------------------------------------------------------------------- the package itself


def test_the_same_sources_give_the_same_bytes(package: Path, tmp_path: Path) -> None:
    assert make_package(tmp_path).read_bytes() == package.read_bytes()


def test_lintian_finds_nothing(package: Path) -> None:
    strict = ("--pedantic", "--fail-on=error,warning,info,pedantic", "--allow-root")
    done = subprocess.run(["lintian", *strict, package], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


# ------------------------------------------------------------------------------------------ on a node


def test_it_is_installed_and_waits_for_the_operator(installed: Node) -> None:
    assert shown(installed, "ActiveState") == "inactive"
    assert installed.ask("systemctl", "is-enabled", UNIT).stdout.strip() == "disabled"
    modes = installed.run("stat", "--format=%a %U:%G", "/etc/voice-agent", CONFIG).splitlines()
    assert modes == ["750 root:voice-agent", "640 root:voice-agent"]
    assert "audio" in installed.run("id", "-nG", "voice-agent").split()
    assert installed.run("voice-agent", "--version").startswith("voice-agent ")
    assert "no problems" in installed.run("voice-agent", "check", CONFIG)
    assert installed.run("systemd-analyze", "verify", "voice-agent.service") == ""
    verified = installed.run("dpkg", "--verify", "voice-agent").splitlines()
    assert [line for line in verified if "/usr/share/doc" not in line and "/usr/share/man" not in line] == []


def test_enabled_it_runs_on_debians_own_python(installed: Node) -> None:
    process = enable(installed)
    installed.until(lambda: "no microphone" in status(installed), "a status")
    assert installed.run("readlink", f"/proc/{process}/exe").startswith("/usr/bin/python3")
    assert "voice-agent" in installed.run("sh", "-c", f"tr '\\0' ' ' < /proc/{process}/cmdline")
    installed.run("python3", "-c", "from voice_agent.audio.rates import Resampler; Resampler(24000, 48000)")


def test_an_upgrade_restarts_what_runs_and_keeps_what_was_changed(installed: Node, newer: Path) -> None:
    before = enable(installed)
    install(installed, newer)
    assert shown(installed, "ActiveState") == "active"
    assert shown(installed, "MainPID") not in {"0", before}
    assert installed.run("cat", CONFIG).strip() == (LOCAL + THEIRS).strip()
    assert installed.run("head", "-1", f"{CONFIG}.dpkg-dist") == "# Of another version."
    modes = installed.run("stat", "--format=%a %U:%G", CONFIG, f"{CONFIG}.dpkg-dist").splitlines()
    assert modes == ["640 root:voice-agent"] * 2


def test_a_downgrade_is_an_upgrade_the_other_way(installed: Node, package: Path, newer: Path) -> None:
    install(installed, newer)
    before = enable(installed)
    install(installed, package)
    assert shown(installed, "MainPID") not in {"0", before}
    assert installed.run("cat", CONFIG).strip() == (LOCAL + THEIRS).strip()


def test_what_is_stopped_stays_stopped(installed: Node, newer: Path) -> None:
    enable(installed)
    installed.run("systemctl", "stop", UNIT)
    install(installed, newer)
    assert shown(installed, "ActiveState") == "inactive"
    assert installed.run("systemctl", "is-enabled", UNIT) == "enabled"


def test_a_removal_keeps_what_people_have_made_and_a_purge_only_their_keys(
    grounds: Grounds, package: Path
) -> None:
    with booted(grounds.bare, {package.parent: str(DEBS)}) as bare:
        _remove_and_purge(bare, package)


def _remove_and_purge(bare: Node, package: Path) -> None:
    before = files(bare)
    install(bare, package)
    enable(bare)
    bare.write(KEY, "sk-of-the-node", "600")
    bare.write(f"{EXTRAS}/pyvenv.cfg", "")
    bare.until(lambda: "control" in bare.run("ls", "/run/voice-agent"), "the control socket")
    bare.run("apt-get", "remove", "--yes", "voice-agent")
    assert shown(bare, "MainPID") == "0"
    assert bare.ask("pgrep", "--exact", "voice-agent").returncode == 1
    assert {CONFIG, "/var/lib/voice-agent"} <= files(bare)
    assert f"{KEY} is left to you" in bare.run("apt-get", "purge", "--yes", "voice-agent")
    assert files(bare) - before - KNOWN == {KEY}
    assert before - files(bare) == set()


def test_extras_are_seen_by_the_daemon_and_outlast_an_upgrade(installed: Node, newer: Path) -> None:
    wheel(newer.parent / "pywebrtc_audio-0.2.9-py3-none-any.whl")
    assert "aec" in missing(installed)
    installed.run("voice-agent-extras", "aec", "--no-index", "--find-links", str(DEBS))
    assert "aec" not in missing(installed)
    install(installed, newer)
    assert "aec" not in missing(installed)
    assert installed.run("find", EXTRAS, "-name", "numpy*") == ""


def missing(node: Node) -> str:
    """What the doctor says of extras."""
    return node.ask("voice-agent", "doctor", "--only", "extras").stdout


def wheel(path: Path) -> None:
    """A package that holds nothing and needs one that Debian has."""
    name, version, *_ = path.name.split("-")
    about = f"{name}-{version}.dist-info"
    with ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.py", "")
        archive.writestr(
            f"{about}/METADATA",
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nRequires-Dist: numpy>=1.24\n",
        )
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")

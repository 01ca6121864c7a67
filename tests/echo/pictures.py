"""Pictures of what is left of the echo: level before and after the canceller, over a scene."""

from collections.abc import Sequence
from pathlib import Path

from tests.echo.scenes import Scene

DPI = 110


def picture(file: Path, scene: Scene, levels: Sequence[Sequence[float]]) -> None:
    """Draw one scene's levels, of frames of 20 ms, in dBFS; nothing for a scene without any."""
    if not levels:
        return
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    seconds = [index / 50 for index in range(len(levels))]
    figure, axes = plt.subplots(figsize=(11, 3.2), dpi=DPI)
    axes.plot(seconds, [pair[0] for pair in levels], color="#b8c4d0", linewidth=0.7, label="microphone")
    axes.plot(seconds, [pair[1] for pair in levels], color="#c0392b", linewidth=0.7, label="without echo")
    axes.axhline(scene.echo_db, color="#7f8c8d", linestyle=":", linewidth=0.8, label="level of the echo")
    axes.set(title=scene.name, xlabel="s", ylabel="dBFS", ylim=(-85, 0), xlim=(0, seconds[-1]))
    axes.legend(loc="lower right", ncols=3, fontsize=7)
    figure.tight_layout()
    figure.savefig(file)
    plt.close(figure)

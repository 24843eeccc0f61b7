"""A reader of curves that goes on when the server is killed and comes back: it has every point, and each once."""

import threading
from pathlib import Path

import runstream
from kit.servers.embedded import Server
from kit.waiting import wait_until
from runstream.api import API, ChartCurve

ROWS = 30


def test_a_followed_curve_is_whole_after_kills_of_the_server(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    shown: list[ChartCurve] = []
    with Server(data) as server:
        run = runstream.init(project="p", url=server.url, dir=tmp_path / "spool", capture_console=False)
        run.log({"loss": 0.0}, step=0)
        api = API(url=server.url)
        wait_until(lambda: bool(api.runs()) and bool(api.series.charts(api.runs(), "loss")))

        def follow() -> None:
            for curves in api.series.follow(run.run_id, "loss"):
                shown[:] = curves
                if curves[0].total == ROWS + 2:
                    return

        reader = threading.Thread(target=follow, daemon=True)
        reader.start()
        wait_until(lambda: bool(shown))
        for step in range(1, ROWS):
            run.log({"loss": float(step)}, step=step)
            if step % 10 == 0:
                server.kill()
                run.log({"loss": -1.0}, step=-step)
                server.start()
                wait_until(lambda step=step: shown[0].x[-1] == step)  # type: ignore[misc]
        run.finish()
        reader.join(120)
        assert not reader.is_alive()
        (fresh,) = api.series.charts(run.run_id, "loss")
        assert list(fresh.x) == [-20, -10, *range(ROWS)]
        assert list(shown[0]) == list(fresh)

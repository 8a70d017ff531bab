# SPDX-License-Identifier: GPL-3.0-or-later
"""A tap without a ledger as a test sees it: the supervisor and its gateways. Run as a program, it is one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from gateway_process import KEY, Gateway, hear


def start_tap(
    home: Path, models: list[dict[str, Any]], *, ready: bool = True, environ: dict[str, str] | None = None, **told: Any
) -> Gateway:
    """A tap of `models` (as `TapModel`, upstreams as `UpstreamSpec`); `told`: processes, port, limits, routing, …."""
    write(home, models, **told)
    with (home / "gateway.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, __file__, str(home)],
            stdout=subprocess.PIPE,
            stderr=log,
            env=os.environ | {"ORCH_HOME": str(home)} | (environ or {}),
        )
    gateway = Gateway(process, home, key=KEY)
    if ready:
        hear(gateway)
        gateway.key = KEY
    return gateway


def write(home: Path, models: list[dict[str, Any]], **told: Any) -> None:
    """What the tap reads at its start and again at SIGHUP."""
    text = json.dumps({"models": models} | told)
    (home / "tap.json.new").write_text(text)
    (home / "tap.json.new").replace(home / "tap.json")


def upstream(identity: str, url: str, **more: Any) -> dict[str, Any]:
    return {"id": identity, "url": url} | more


def read(home: Path) -> Any:
    """The configuration as it is written now."""
    from llama_orch.tap.config.record import (
        RoutingRules,
        TapConfig,
        TapLimits,
        TapModel,
        UpstreamSpec,
        WorkerRules,
    )

    told = json.loads((home / "tap.json").read_text())

    def model(given: dict[str, Any]) -> TapModel:
        upstreams = tuple(
            UpstreamSpec(**{**each, "ca": Path(each["ca"]) if each.get("ca") else None})
            for each in given.pop("upstreams", [])
        )
        return TapModel(upstreams=upstreams, **given)

    config = TapConfig(home, "public", "test", "none", models=tuple(model(each) for each in told["models"]))
    records = {"limits": TapLimits, "routing": RoutingRules, "workers": WorkerRules}
    known = {each.name for each in fields(TapConfig)}
    members = {name: records[name](**value) if name in records else value for name, value in told.items()}
    for name in ("cert", "key_file"):
        if name in members:
            members[name] = Path(members[name])
    members.pop("models")
    return replace(config, **{name: value for name, value in members.items() if name in known})


def main() -> int:
    """The tap itself."""
    from llama_orch.tap.settings import Ready
    from llama_orch.tap.supervisor import serve_tap

    home = Path(sys.argv[1])

    def announce(ready: Ready) -> None:
        print(json.dumps({"url": ready.url, "key": None, "models": ready.models, "pid": ready.pid}), flush=True)

    told = json.loads((home / "tap.json").read_text())
    return serve_tap(
        read(home),
        announce,
        port=told.get("port", 0),
        processes=told.get("processes", 1),
        reload=lambda: read(home),
        money=False,
        key=KEY,
    )


if __name__ == "__main__":
    sys.exit(main())

"""From what the user wrote to a pipeline: an exact id, an existing path, a unique prefix, a unique name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from cli.errors import UnknownPipelineError
from cli.render import printable, shown_name
from eventlog.store import Store
from pipeline.home import Home


def find_pipeline(written: str, store: Store, home: Home) -> str:
    """Return the id of the pipeline that is meant.

    Raises:
        UnknownPipelineError: none or several are.
    """
    pipelines = store.pipelines()
    if written in pipelines:
        return written
    if Path(written).is_file():
        from pipeline.recordings import identify, pipeline_id_of

        pipeline = pipeline_id_of(identify(Path(written), home.index), store)
        if pipeline in pipelines:
            return pipeline
    candidates = [pipeline for pipeline in pipelines if written and pipeline.startswith(written)]
    candidates = candidates or [pipeline for pipeline, name in names(store) if name == written]
    if len(candidates) == 1:
        return candidates[0]
    raise UnknownPipelineError(_explanation(written, candidates, store))


def known_pipelines(store: Store, home: Home) -> list[str]:
    """Return every pipeline of which a log or a file is left."""
    folder = home.root / "artifacts"
    left = {path.name for path in folder.iterdir() if path.is_dir()} if folder.is_dir() else set()
    return sorted({*store.pipelines(), *left})


def names(store: Store) -> Iterator[tuple[str, str]]:
    """Yield (pipeline, recorded name), several for a pipeline that was met under several names."""
    for pipeline in store.pipelines():
        for record in store.stream(pipeline):
            if record.type == "pipeline.created":
                yield pipeline, shown_name(record.data.get("input", {}).get("name"))
            elif record.type == "input.seen":
                yield pipeline, shown_name(record.data.get("name"))


def _explanation(written: str, candidates: list[str], store: Store) -> str:
    if not candidates:
        return f"No pipeline or file answers to {printable(written)!r}. `evt list` shows the pipelines there are."
    known = dict(names(store))
    lines = [f"  {pipeline}  {known.get(pipeline, '?')}" for pipeline in candidates[:10]]
    return f"{printable(written)!r} can mean several pipelines; write more digits:\n" + "\n".join(lines)

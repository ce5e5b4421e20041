"""Steps of a LangGraph graph with its SQLite checkpointer: one node in a loop, each step durable by itself."""

from __future__ import annotations

import itertools
import sqlite3
import time
from typing import TypedDict

from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, StateGraph
from serving import EVENT, serve


class State(TypedDict):
    """How many steps are left, and what the last one kept."""

    left: int
    event: dict[str, object]


def step(state: State) -> State:
    return {"left": state["left"] - 1, "event": {**EVENT, "attempt": state["left"]}}


graph = StateGraph(State)
graph.add_node("step", step)
graph.add_edge(START, "step")
graph.add_conditional_edges("step", lambda state: "step" if state["left"] else END)
base = sqlite3.connect("langgraph.sqlite", check_same_thread=False)
app = graph.compile(checkpointer=SqliteSaver(base))
threads = itertools.count()


def steps(count: int) -> float:
    """Take so many steps in a thread of its own and return their seconds."""
    config = {"configurable": {"thread_id": str(next(threads))}, "recursion_limit": count + 5}
    begun_s = time.perf_counter()
    app.invoke({"left": count, "event": {}}, config, durability="sync")
    return time.perf_counter() - begun_s


serve(steps)

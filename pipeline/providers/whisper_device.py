"""What Whisper computes on: the graphics card where it can be used, else the processor, with a note why.

The only file that imports ctranslate2.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Collection, Iterable
from pathlib import Path

from attrs import frozen

CPU, CUDA, AUTO = "cpu", "cuda", "auto"

NUMBERS = {CUDA: ("float16", "int8_float32", "float32"), CPU: ("int8", "int8_float32", "float32")}
"""Types of number, the best first: half floats on a card, or 8 bits on those that are slow with them; 8 bits on
a processor, where they are faster and as accurate. Source: the benchmark in faster-whisper's README; what a card is
good at is CTranslate2's word."""

_UNUSABLE = re.compile(
    r"is not found or cannot be loaded|CUDA driver version|no CUDA-capable device|no kernel image"
)
_SHIM = re.compile(r"libcudnn-[^/]*\.so\.(\d+)[^/]*$")


@frozen
class Machine:
    """What there is to compute on.

    Attributes:
        cards: the number of graphics cards that CTranslate2 sees.
        card_types: the types of number that they are good at.
        missing: a library without which using a card would end the process; None: none is known to be missing.
    """

    cards: int = 0
    card_types: Collection[str] = ()
    missing: str | None = None


@frozen
class Device:
    """What a model computes on.

    Attributes:
        name: `cpu` or `cuda`.
        numbers: the type of number, as CTranslate2 names it.
        note: why it isn't the graphics card, where there is one.
    """

    name: str
    numbers: str
    note: str | None = None


def choose_device(wanted: str, machine: Machine) -> Device:
    """Return what to compute on; `wanted` is `auto`, `cpu` or `cuda`; it is obeyed whatever there is."""
    if wanted == CPU or (wanted == AUTO and machine.cards == 0):
        return Device(CPU, NUMBERS[CPU][0])
    if wanted == AUTO and machine.missing is not None:
        return Device(CPU, NUMBERS[CPU][0], note_of(f"the library {machine.missing} is missing"))
    known = (numbers for numbers in NUMBERS[CUDA] if numbers in machine.card_types)
    return Device(CUDA, next(known, NUMBERS[CUDA][-1]))


def without_card(error: Exception) -> Device | None:
    """Return the processor where an error means that the card can't be used at all; None: it doesn't mean that."""
    found = _UNUSABLE.search(str(error))
    if found is None:
        return None
    library = re.search(r"Library (\S+) is not found", str(error))
    why = f"the library {library[1]} is missing" if library else "its driver doesn't fit"
    return Device(CPU, NUMBERS[CPU][0], note_of(why))


def note_of(why: str) -> str:
    """Return the note that stands in an answer which the processor gave although there is a card."""
    return f"There is a graphics card, but {why}; the processor was used."


def look_at_machine() -> Machine:
    """Ask CTranslate2 and the system's loader."""
    import ctranslate2

    cards = ctranslate2.get_cuda_device_count()
    if cards == 0:
        return Machine()
    shipped = Path(ctranslate2.__file__).parent.with_name("ctranslate2.libs")
    needed = needed_libraries(path.name for path in shipped.glob("*"))
    missing = next((name for name in needed if not _loads(name)), None)
    return Machine(cards, ctranslate2.get_supported_compute_types(CUDA), missing)


def needed_libraries(shipped: Iterable[str]) -> tuple[str, ...]:
    """Return the libraries without which CTranslate2 would end the process, by the files of its wheel.

    Wheels from 4.5 on, but the newest, hold a door to cuDNN; without what is behind it the process is aborted.
    Any other library that is missing gives an error, see `without_card`. Source: CTranslate2, issues 1806 and 1826.
    """
    found = [shim[1] for name in shipped if (shim := _SHIM.search(name))]
    return (f"libcudnn_ops.so.{found[0]}", f"libcudnn_cnn.so.{found[0]}") if found else ()


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True

"""EAF 3.0: a tier for each speaker, for ELAN.

Source: Max Planck Institute for Psycholinguistics, EAF schema 3.0 and "ELAN Annotation Format".
"""

from __future__ import annotations

from itertools import count
from pathlib import PurePath
from xml.etree.ElementTree import Element, SubElement, indent, register_namespace, tostring

from pipeline.formats.tiers import Interval, tiers
from pipeline.speech.transcript import Transcript, one_line

SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"

_XSI = "http://www.w3.org/2001/XMLSchema-instance"

_MADE = "1970-01-01T00:00:00+00:00"
"""The schema asks for a date. That of writing would make equal transcripts differ."""

_TYPE = "utterance"

_MEDIA = {
    ".wav": "audio/x-wav",
    ".mp3": "audio/mpeg",
    ".m4a": "audio/mp4",
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/quicktime",
    ".mpg": "video/mpeg",
    ".mpeg": "video/mpeg",
}
"""What ELAN calls the kinds of recordings that it plays; it takes others as `unknown` and tries."""


def render(transcript: Transcript) -> str:
    """Write the transcript as an annotation document whose recording is looked for beside it."""
    register_namespace("xsi", _XSI)
    document = Element(
        "ANNOTATION_DOCUMENT",
        {
            "AUTHOR": "",
            "DATE": _MADE,
            "FORMAT": "3.0",
            "VERSION": "3.0",
            f"{{{_XSI}}}noNamespaceSchemaLocation": SCHEMA,
        },
    )
    _add_header(document, one_line(transcript.name))
    order = SubElement(document, "TIME_ORDER")
    numbers = count(1)
    for tier in tiers(transcript):
        attributes = {"TIER_ID": tier.name, "PARTICIPANT": tier.name, "LINGUISTIC_TYPE_REF": _TYPE}
        element = SubElement(document, "TIER", attributes)
        for interval in tier.intervals:
            _add_annotation(element, order, interval, next(numbers))
    order[:] = sorted(order, key=lambda slot: int(slot.attrib["TIME_VALUE"]))
    kind = {"LINGUISTIC_TYPE_ID": _TYPE, "TIME_ALIGNABLE": "true", "GRAPHIC_REFERENCES": "false"}
    SubElement(document, "LINGUISTIC_TYPE", kind)
    indent(document)
    content: bytes = tostring(document, encoding="UTF-8", xml_declaration=True)
    return content.decode() + "\n"


def _add_header(document: Element, name: str) -> None:
    header = SubElement(document, "HEADER", {"MEDIA_FILE": "", "TIME_UNITS": "milliseconds"})
    mime = _MEDIA.get(PurePath(name).suffix.lower(), "unknown")
    # The path on this machine is nobody else's business; ELAN looks in the document's own folder as well.
    media = {"MEDIA_URL": f"file:///{name}", "RELATIVE_MEDIA_URL": f"./{name}", "MIME_TYPE": mime}
    SubElement(header, "MEDIA_DESCRIPTOR", media)


def _add_annotation(tier: Element, order: Element, interval: Interval, number: int) -> None:
    """Add an interval; its borders are its own, so that moving one in ELAN moves no other."""
    slots = (f"ts{2 * number - 1}", f"ts{2 * number}")
    for slot, time_ms in zip(slots, (interval.start_ms, interval.end_ms), strict=True):
        SubElement(order, "TIME_SLOT", {"TIME_SLOT_ID": slot, "TIME_VALUE": str(time_ms)})
    annotation = SubElement(
        SubElement(tier, "ANNOTATION"),
        "ALIGNABLE_ANNOTATION",
        {"ANNOTATION_ID": f"a{number}", "TIME_SLOT_REF1": slots[0], "TIME_SLOT_REF2": slots[1]},
    )
    SubElement(annotation, "ANNOTATION_VALUE").text = interval.text

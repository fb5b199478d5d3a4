"""AEDAT 4 files for tests: by iniVation's own library, and byte by byte where it refuses.

:func:`write_dv` writes what a camera would, compressed, events among frames, IMU samples and
triggers. :func:`write_plain` composes an uncompressed file from the format's description, so
that times may go back, streams may have any number and packets any content.
"""

import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

COLUMNS = np.dtype([("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("p", "?")])


def events(*rows: tuple[int, int, int, int]) -> np.ndarray[Any, Any]:
    """Rows ``(x, y, t, p)`` as a structured array."""
    return np.array([(t, x, y, p) for x, y, t, p in rows], COLUMNS)


def write_dv(
    path: Path,
    packets: Iterable[np.ndarray[Any, Any]],
    *,
    compression: str = "LZ4",
    sensor: tuple[int, int] = (260, 346),
) -> None:
    """Write event packets, each followed by a frame, an IMU sample and a trigger.

    Skips the test where dv-processing is not installed.
    """
    import pytest

    dv = pytest.importorskip("dv_processing")
    size = sensor[::-1]
    config = dv.io.MonoCameraWriter.Config("test", getattr(dv.CompressionType, compression))
    config.addFrameStream(size)  # the first stream, so that events are not stream 0
    config.addImuStream()
    config.addEventStream(size)
    config.addTriggerStream()
    writer = dv.io.MonoCameraWriter(str(path), config)
    for packet in packets:
        store = dv.EventStore()
        for t, x, y, p in packet.tolist():
            store.push_back(t, x, y, p)
        writer.writeEvents(store, streamName="events")
        last = int(packet["t"][-1])
        writer.writeFrame(dv.Frame(last, np.zeros(sensor, np.uint8)), streamName="frames")
        writer.writeImu(dv.IMU(last, 20.0, *[1.0] * 9), streamName="imu")
        writer.writeTrigger(
            dv.Trigger(last, dv.TriggerType.EXTERNAL_SIGNAL_RISING_EDGE), streamName="triggers"
        )
    del writer  # closes the file


def event_packet(columns: np.ndarray[Any, Any]) -> bytes:
    """One size-prefixed ``EVTS`` FlatBuffer: a table of one vector of 16-byte structures."""
    rows = np.zeros(
        columns.size, [("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("p", "?"), ("_", "V3")]
    )
    for name in ("t", "x", "y", "p"):
        rows[name] = columns[name]
    head = struct.pack("<I4sHHHHiI", 16, b"EVTS", 6, 8, 4, 0, 8, 4)
    body = head + struct.pack("<I", columns.size) + rows.tobytes()
    return struct.pack("<I", len(body)) + body


def description(streams: dict[Any, str], sensor: tuple[int, int] = (260, 346)) -> str:
    """The XML that names the streams."""
    nodes = "".join(
        f'<node name="{number}" path="/outInfo/{number}/">'
        f'<attr key="typeIdentifier" type="string">{kind}</attr>'
        f'<node name="info" path="/outInfo/{number}/info/">'
        f'<attr key="sizeX" type="int">{sensor[1]}</attr>'
        f'<attr key="sizeY" type="int">{sensor[0]}</attr></node></node>'
        for number, kind in streams.items()
    )
    return f'<dv version="2.0"><node name="outInfo" path="/outInfo/">{nodes}</node></dv>'


def header(text: bytes, compression: int = 0, table: int = -1) -> bytes:
    """Magic, length and ``IOHE`` FlatBuffer: compression, data table position, description."""
    head = struct.pack("<I4sHHHHHH", 20, b"IOHE", 10, 20, 4, 8, 16, 0)
    body = head + struct.pack("<iiqI", 12, compression, table, 4)
    body += struct.pack("<I", len(text)) + text
    return b"#!AER-DAT4.0\r\n" + struct.pack("<I", len(body)) + body


def write_plain(
    path: Path,
    packets: Sequence[np.ndarray[Any, Any] | tuple[int, np.ndarray[Any, Any]]],
    *,
    streams: dict[int, str] | None = None,
    sensor: tuple[int, int] = (260, 346),
) -> bytes:
    """Write uncompressed packets, of stream 7 unless a packet comes with another number."""
    data = header(description(streams or {7: "EVTS"}, sensor).encode())
    for packet in packets:
        number, columns = packet if isinstance(packet, tuple) else (7, packet)
        content = event_packet(columns)
        data += struct.pack("<ii", number, len(content)) + content
    path.write_bytes(data)
    return data

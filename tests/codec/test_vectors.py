"""Every shared vector, through the API and through the command: what ours makes of what the references were seen to make of it.

`tests/vectors/vectors.json` records for each input what the Node and the Python implementation did and what this library has to do.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from engineio_lite.cli.decode import Layer, decode, decode_line
from engineio_lite.exceptions import DecodeError
from engineio_lite.packet import Packet, decode_packet
from engineio_lite.payload import decode_payload, is_version_3_payload
from engineio_lite.socketio import Decoder

VECTORS: list[dict[str, Any]] = json.loads((Path(__file__).parent.parent / "vectors" / "vectors.json").read_text(encoding="utf-8"))


def _name(vector: dict[str, Any]) -> str:
    return f"{vector['layer']}: {json.dumps(vector['input'])[:60]}"


def _messages(given: dict[str, Any]) -> list[str | bytes]:
    return [message["text"] if "text" in message else bytes.fromhex(message["hex"]) for message in given.get("frames", [given])]


def _plain(value: object) -> object:
    match value:
        case bytes():
            return {"$hex": value.hex()}
        case list():
            return [_plain(item) for item in value]
        case dict():
            return {key: _plain(item) for key, item in value.items()}
    return value


def _engineio(packets: list[Packet]) -> list[object]:
    return [{"type": packet.type, "data": _plain(packet.data)} for packet in packets]


def _through_the_api(layer: str, messages: list[str | bytes]) -> dict[str, Any]:
    """What the API makes of an input, in the words of the vectors."""
    done: list[object] = []
    try:
        if layer == "engineio-packet":
            done = _engineio([decode_packet(messages[0])])
        elif layer == "engineio-payload":
            done = _engineio(decode_payload(messages[0]))
        else:
            decoder = Decoder()
            for packet in filter(None, map(decoder.feed, messages)):
                optional = {"data": _plain(packet.data), "id": packet.id}
                present = {key: value for key, value in optional.items() if value is not None and value is not msgspec.UNSET}
                done.append({"type": packet.type, "nsp": packet.namespace} | present)
    except DecodeError as error:
        done = done or _engineio(list(error.packets))
        return ({"ok": done} if done else {}) | {"error": {"code": error.code, "offset": error.offset}}
    return {"ok": done}


@pytest.mark.parametrize("vector", VECTORS, ids=_name)
def test_the_api_agrees(vector: dict[str, Any]) -> None:
    expected = {key: value for key, value in vector["ours"].items() if key != "hint"}
    assert _through_the_api(vector["layer"], _messages(vector["input"])) == expected


@pytest.mark.parametrize("vector", [v for v in VECTORS if v["layer"] == "engineio-payload"], ids=_name)
def test_the_api_agrees_on_bytes_and_on_version_3(vector: dict[str, Any]) -> None:
    text = vector["input"]["text"]
    expected = {key: value for key, value in vector["ours"].items() if key != "hint"}
    assert _through_the_api("engineio-payload", [text.encode()]) == expected
    assert is_version_3_payload(text) is ("hint" in vector["ours"])


@pytest.mark.parametrize("vector", VECTORS, ids=_name)
def test_a_line_of_the_command_agrees(vector: dict[str, Any]) -> None:
    assert decode_line(json.dumps(vector["input"]).encode(), Layer(vector["layer"])) == vector["ours"]


@pytest.mark.parametrize("layer", list(Layer))
def test_the_command_agrees_on_a_file_of_them(layer: Layer) -> None:
    vectors = [vector for vector in VECTORS if vector["layer"] == layer]
    lines = "".join(json.dumps(vector["input"], ensure_ascii=False) + "\n" for vector in vectors)
    done = CliRunner().invoke(decode, ["--layer", layer.value, "--json"], input=lines.encode())
    assert [json.loads(line) for line in done.output.split("\n") if line] == [vector["ours"] for vector in vectors]
    assert done.exit_code == 0


def test_nothing_is_missing() -> None:
    assert len(VECTORS) == 145

"""A stand-in for OpenML's servers: the answers that scikit-learn's ``fetch_openml`` asks for."""

from __future__ import annotations

import hashlib
import io
import json
from email.message import Message
from urllib.request import Request

import numpy as np

from hwbnn.graph.arrays import Bytes

_API = "https://www.openml.org/api/v1/json/data/"
_FILE = "https://api.openml.org/data/v1/download/1/images.arff"


class Answer(io.BytesIO):
    def info(self) -> Message:
        return Message()


class OpenMLServer:
    """Answers for one data set of flat images; ``asked`` lists the addresses asked for."""

    def __init__(self, number: int, images: Bytes, labels: Bytes) -> None:
        self.asked: list[str] = []
        arff = self._arff(images.reshape(len(images), -1), labels)
        pixels = [f"pixel{i + 1}" for i in range(images[0].size)]
        features = [
            {
                "index": str(i),
                "name": name,
                "data_type": "nominal" if name == "class" else "numeric",
                "is_target": str(name == "class").lower(),
                "is_ignore": "false",
                "is_row_identifier": "false",
                "number_of_missing_values": "0",
            }
            for i, name in enumerate([*pixels, "class"])
        ]
        description = {
            "id": str(number),
            "name": "images",
            "version": "1",
            "status": "active",
            "format": "ARFF",
            "url": _FILE,
            "md5_checksum": hashlib.md5(arff).hexdigest(),
            "default_target_attribute": "class",
        }
        qualities = [{"name": "NumberOfInstances", "value": str(float(len(images)))}]
        self._answers = {
            f"{_API}{number}": self._json(data_set_description=description),
            f"{_API}features/{number}": self._json(data_features={"feature": features}),
            f"{_API}qualities/{number}": self._json(data_qualities={"quality": qualities}),
            _FILE: arff,
        }

    def __call__(self, request: Request, **options: object) -> Answer:
        self.asked.append(request.full_url)
        return Answer(self._answers[request.full_url])

    @staticmethod
    def _json(**content: object) -> bytes:
        return json.dumps(content).encode()

    @staticmethod
    def _arff(rows: Bytes, labels: Bytes) -> bytes:
        head = ["@RELATION images"]
        head += [f"@ATTRIBUTE pixel{i + 1} real" for i in range(rows.shape[1])]
        head += [f"@ATTRIBUTE class {{{','.join(map(str, range(10)))}}}", "@DATA"]
        table = np.column_stack([rows, labels])
        return "\n".join(head + [",".join(map(str, row)) for row in table.tolist()]).encode()

"""One process of several that validate together; tells what it found. validate_apart.py SETTINGS LANGUAGE_MODEL END."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from torch.optim import SGD

from llava.config import TrainSettings
from llava.training.parallel import Parallel
from llava.validation import validate
from tests.llava.test_validation import make_model

if __name__ == "__main__":
    told = TrainSettings.model_validate_json(Path(sys.argv[1]).read_text())
    model, processor = make_model(Path(sys.argv[2]), int(sys.argv[3]))
    parallel = Parallel(told.compute)
    prepared, _ = parallel.prepare(model, SGD(model.parameters(), 0.1))
    found = validate(prepared, processor, told, told.output / "v", parallel)
    print(json.dumps(found._asdict()))  # noqa: T201

"""`python -m browser SCENARIO`: plays one, and prints what it saw as one line of JSON."""

import json
import sys

from . import api, look, operate, way_in

SCENARIOS = {
    "api": api.play,
    "look": look.play,
    "operate": operate.play,
    "way_in": way_in.play,
}

if __name__ == "__main__":
    print(json.dumps(SCENARIOS[sys.argv[1]]()))

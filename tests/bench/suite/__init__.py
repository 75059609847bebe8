"""The benchmark suite: see ../README.md. `python -m suite quick|full` from tests/bench, by run.sh."""

"""The table of what is supported, from the verdicts of a run."""

from . import suite

BEGIN, END = "<!-- conformance:begin -->", "<!-- conformance:end -->"


def feature(case):
    return case.rpartition(": ")[0]


def rows(verdicts):
    """Yields (feature, number of cases, one cell for each verdict, notes)."""
    names = sorted({feature(case) for verdict in verdicts.values() for case in verdict.cases})
    for name in names:
        cells, notes, count = [], set(), 0
        for title, verdict in verdicts.items():
            cases = {case: found for case, found in verdict.cases.items() if feature(case) == name}
            is_mixed = title.startswith(suite.MIXED_TITLE)
            cells.append(cell(cases, is_mixed))
            count = max(count, len(cases))
            if not is_mixed:
                notes.update(note for found in cases.values() for note in found if note)
        yield name, count, cells, sorted(notes)


def cell(cases, is_mixed):
    """Which worker runs which task of a mixed fleet is chance, and so is which of its differences
    are seen.
    """
    if not cases:
        return "–"
    if any(None in found for found in cases.values()):
        return "**differs**"
    if is_mixed:
        return "works"
    return "same¹" if any(cases.values()) else "same"


def table(verdicts):
    """Returns the table as Markdown; `verdicts` by their column's title."""
    titles = ["feature", "cases", *verdicts, "¹ what is different, on purpose"]
    lines = ["| " + " | ".join(titles) + " |", "|---" * len(titles) + "|"]
    for name, count, cells, notes in rows(verdicts):
        shown = "many" if name == "canvas: random" else str(count)
        lines.append("| " + " | ".join([name, shown, *cells, " · ".join(notes)]) + " |")
    return "\n".join(lines) + "\n"


def between_markers(text):
    """Returns what stands between the markers of a document; None where there are none."""
    if BEGIN not in text or END not in text:
        return None
    return text.partition(BEGIN)[2].partition(END)[0].strip() + "\n"


def replaced(text, new):
    head, _, rest = text.partition(BEGIN)
    return f"{head}{BEGIN}\n{new}{END}{rest.partition(END)[2]}"

"""The table of what is supported, from the verdicts of a run."""

BEGIN, END = "<!-- conformance:begin -->", "<!-- conformance:end -->"


def feature(case):
    return case.rpartition(": ")[0]


def rows(verdicts):
    """Yields (feature, number of cases, one cell for each verdict, notes)."""
    names = sorted({feature(case) for verdict in verdicts.values() for case in verdict.cases})
    for name in names:
        mine = [{case: notes for case, notes in verdict.cases.items() if feature(case) == name} for verdict in verdicts.values()]
        notes = sorted({note for cases in mine for these in cases.values() for note in these if note})
        yield name, len(mine[0]), [cell(cases) for cases in mine], notes


def cell(cases):
    if not cases:
        return "–"
    if any(None in notes for notes in cases.values()):
        return "**differs**"
    return "same¹" if any(notes for notes in cases.values()) else "same"


def table(verdicts):
    """Returns the table as Markdown; `verdicts` by their column's title."""
    titles = ["feature", "cases", *verdicts, "¹ what is different, on purpose"]
    lines = ["| " + " | ".join(titles) + " |", "|---" * len(titles) + "|"]
    for name, count, cells, notes in rows(verdicts):
        shown = "many" if name == "canvas: random" else str(count)
        lines.append("| " + " | ".join([name, shown, *cells, "; ".join(notes)]) + " |")
    return "\n".join(lines) + "\n"


def between_markers(text):
    """Returns what stands between the markers of a document; None where there are none."""
    if BEGIN not in text or END not in text:
        return None
    return text.partition(BEGIN)[2].partition(END)[0].strip() + "\n"


def replaced(text, new):
    head, _, rest = text.partition(BEGIN)
    return f"{head}{BEGIN}\n{new}{END}{rest.partition(END)[2]}"

"""Tables of the page against scikit-learn's, on the same answers."""

import pytest
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from snntx.report import results
from snntx.report.blocks import Section, Table
from snntx.report.gather import Found


def tables(section: Section) -> list[Table]:
    return [each for each in section.blocks if isinstance(each, Table)]


def test_recall_and_precision_are_scikit_learns(gathered: dict[str, Found]) -> None:
    evidence = gathered["both"].result.evidence
    labels = range(len(evidence.classes))
    precision, recall, _, support = precision_recall_fscore_support(
        evidence.labels, evidence.answers.predicted, labels=labels, zero_division=0
    )
    [table] = tables(results.classes(gathered["both"]))
    for name, count, share, exact in table.rows:
        i = evidence.classes.index(name.text)
        assert count.value == support[i]
        assert share.value == pytest.approx(recall[i])
        if exact.value is None:  # nothing was taken for this class
            assert i not in evidence.answers.predicted
        else:
            assert exact.value == pytest.approx(precision[i])
    shares = [row[2].value for row in table.rows]
    assert shares == sorted(shares, key=lambda value: value or 0.0)


def test_the_matrix_is_scikit_learns(gathered: dict[str, Found]) -> None:
    evidence = gathered["both"].result.evidence
    labels = range(len(evidence.classes))
    counts = confusion_matrix(evidence.labels, evidence.answers.predicted, labels=labels)
    matrix, pairs = tables(results.confusion(gathered["both"]))
    shown = [[int(cell.text.replace("·", "0")) for cell in row[1:]] for row in matrix.rows]
    assert shown == counts.tolist()
    assert all(row[i + 1].framed for i, row in enumerate(matrix.rows))
    for true, taken, count, _ in pairs.rows:
        place = evidence.classes.index(true.text), evidence.classes.index(taken.text)
        assert counts[place] == count.value
    found = [row[2].value or 0 for row in pairs.rows]
    assert found == sorted(found, reverse=True)


def test_of_many_classes_mistakes_stand_for_the_matrix(
    gathered: dict[str, Found], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "WHOLE", 9)
    section = results.confusion(gathered["both"])
    assert "Of 10 classes the whole matrix would be too large" in str(section.blocks[0])
    assert [each.caption for each in tables(section)] == ["Most frequent mistakes"]

"""The notebook of the docs runs in a kernel, cell by cell, and shows what it says; here in few iterations."""

import nbformat
import pytest
from nbclient import NotebookClient

from tests.checkout import ROOT
from tests.studio import TINY

NOTEBOOK = ROOT / "docs/notebook.ipynb"


@pytest.mark.slow
def test_it_runs_and_shows_pictures(tmp_path, monkeypatch):
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    settings = next(cell for cell in notebook.cells if "quick = " in cell.source)
    settings.source = f"{settings.source}\nquick = {TINY}".replace("../manifests", str(ROOT / "manifests"))
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert (tmp_path / "cat-glass.png").exists()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert len([output for output in outputs if "image/png" in output.get("data", {})]) == 2
    printed = [output.text for output in notebook.cells[-1].outputs if output.output_type == "stream"]
    assert printed[0].startswith("2 iterations: ")


def test_what_it_shows_in_the_docs_came_of_it():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert not [output for cell in code for output in cell.outputs if output.output_type == "error"]

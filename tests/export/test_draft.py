"""New folders: whole or not at all, and nothing of the dead stays beside them."""

from __future__ import annotations

import os
import signal

import pytest

from dashzoo_export.draft import new_folder
from dashzoo_search.errors import BundleExists


def test_a_new_folder_appears_only_at_the_end(tmp_path):
    target = tmp_path / "deep" / "out"
    with new_folder(target, force=False) as draft:
        (draft / "results.json").write_text("{}")
        assert not target.exists()
    assert (target / "results.json").exists()
    assert [p.name for p in target.parent.iterdir()] == ["out"]


def test_an_error_leaves_the_old_folder_as_it_was(tmp_path):
    target = tmp_path / "out"
    with new_folder(target, force=False) as draft:
        (draft / "results.json").write_text("old")
        (draft / "SHA256SUMS").touch()
    with pytest.raises(ZeroDivisionError), new_folder(target, force=True) as draft:
        (draft / "half").write_text("new")
        raise ZeroDivisionError
    assert (target / "results.json").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def killed_at_work(target):
    """Leave what a process leaves that is killed while it fills a draft of ``target``."""
    child = os.fork()
    if not child:
        with new_folder(target, force=False) as draft:
            (draft / "half").write_text("done")
            os.kill(os.getpid(), signal.SIGKILL)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked children")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_what_the_dead_left_goes_and_what_the_living_hold_stays(tmp_path):
    target = tmp_path / "out"
    killed_at_work(target)
    (dead,) = tmp_path.iterdir()
    with new_folder(target, force=False) as draft:
        assert not dead.exists()
        with new_folder(tmp_path / "out2", force=False):  # another's is no business of this one
            pass
        with pytest.raises(BundleExists), new_folder(target, force=True) as second:
            assert draft.is_dir()
            (tmp_path / "out").mkdir()
            (tmp_path / "out" / "thesis.tex").touch()
            (second / "half").touch()
        assert draft.is_dir()
        (tmp_path / "out" / "thesis.tex").unlink()
        (draft / "results.json").write_text("{}")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "out2"]
    assert [path.name for path in target.iterdir()] == ["results.json"]


@pytest.mark.parametrize("name", ["thesis.tex", "draft/thesis.tex", ".new"])
def test_folders_that_only_look_like_drafts_stay(tmp_path, name):
    other = tmp_path / ".out.draft-12345678"
    (other / name).parent.mkdir(parents=True)
    (other / name).write_text("years of work")
    link = tmp_path / ".out.draft-87654321"
    link.symlink_to(other)
    with new_folder(tmp_path / "out", force=False):
        pass
    assert (other / name).read_text() == "years of work"
    assert link.is_symlink()

"""What was written to a folder is what is read, or is refused."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from llava.checksums import checked, read_checksums, write_checksums


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "one.bin").write_bytes(bytes(range(256)))
    (tmp_path / "two words.json").write_text("{}")
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "of its own").write_text("")
    write_checksums(tmp_path)
    return tmp_path


def test_files_as_they_were_written_are_given_with_their_hashes(folder):
    assert list(checked(folder)) == ["one.bin", "two words.json"]
    assert checked(folder)["one.bin"] == "40aff2e9d2d8922e47afd4648e6967497158785fbd1da870e7110266bf944880"
    write_checksums(folder)
    assert list(checked(folder)) == ["one.bin", "two words.json"]  # its own is not among them


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="no sha256sum")
def test_coreutils_read_it(folder):
    check = ["sha256sum", "--check", "SHA256SUMS"]
    assert subprocess.run(check, cwd=folder, check=True, capture_output=True).stdout.count(b": OK") == 2
    (folder / "one.bin").write_bytes(b"")
    assert subprocess.run(check, cwd=folder, check=False, capture_output=True).returncode == 1


def test_a_change_is_found_that_leaves_size_and_time(folder):
    before = (folder / "one.bin").stat()
    (folder / "one.bin").write_bytes(bytes(reversed(range(256))))
    os.utime(folder / "one.bin", ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(ValueError, match=r"one\.bin is damaged, or was edited"):
        checked(folder)


def test_a_folder_is_read_again_when_a_file_has_changed(folder):
    checked(folder)
    (folder / "two words.json").write_text("[]")
    with pytest.raises(ValueError, match=r"two words\.json is damaged, or was edited: its SHA-256 is 4f53cda18c2b"):
        checked(folder)


def test_a_missing_file_is_named(folder):
    (folder / "one.bin").unlink()
    with pytest.raises(ValueError, match=r"has no one\.bin, which SHA256SUMS names"):
        checked(folder)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"half a line", b"0" * 64 + b"  ../elsewhere\n"])
def test_damaged_checksums_are_named(folder, content):
    (folder / "SHA256SUMS").write_bytes(content)
    with pytest.raises(ValueError, match=r"SHA256SUMS is damaged: .*; copy it again"):
        checked(folder)
    (folder / "SHA256SUMS").unlink()
    with pytest.raises(ValueError, match=r"SHA256SUMS: No such file or directory; it is written with the folder"):
        checked(folder)


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="no sha256sum")
@pytest.mark.parametrize("command", ["sha256sum *.* > SHA256SUMS", "sha256sum --binary ./*.* > SHA256SUMS"])
def test_a_file_edited_on_purpose_is_believed_once_coreutils_wrote_them_again(folder, command):
    (folder / "two words.json").write_text('{"edited": true}')
    with pytest.raises(ValueError, match=r"in that folder: sha256sum \*\.\* > SHA256SUMS"):
        checked(folder)
    subprocess.run(command, shell=True, cwd=folder, check=True)
    assert list(checked(folder)) == ["one.bin", "two words.json"]


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="no sha256sum")
def test_checksums_may_name_themselves_as_a_shell_makes_them_do(folder):
    subprocess.run("sha256sum * > SHA256SUMS", shell=True, cwd=folder, check=False)  # it complains of the folder inside
    assert "  SHA256SUMS" in (folder / "SHA256SUMS").read_text()
    assert list(checked(folder)) == ["one.bin", "two words.json"]


@pytest.mark.parametrize("lines", [0, 1])
def test_checksums_that_were_cut_between_lines_are_refused(tmp_path, lines):
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_text(name)
    write_checksums(tmp_path)
    written = (tmp_path / "SHA256SUMS").read_text().splitlines(keepends=True)
    (tmp_path / "SHA256SUMS").write_text("".join(written[:lines]))
    with pytest.raises(ValueError, match=r"SHA256SUMS does not name model\.safetensors"):
        checked(tmp_path)


def test_what_a_user_adds_is_let_be(folder):
    (folder / "NOTES.md").write_text("mine")
    assert "NOTES.md" not in checked(folder)


def test_hashes_that_are_known_are_not_made_again(folder):
    write_checksums(folder, known={"one.bin": "0" * 64, "gone.bin": "1" * 64})
    assert read_checksums(folder)["one.bin"] == "0" * 64
    assert list(read_checksums(folder)) == ["one.bin", "two words.json"]

"""The diff of a change, applied to the files it was made from: it gives the same bytes as the change itself."""

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from chargehand.tools.editing.change import Change, FileWrite
from chargehand.tools.editing.file_form import in_form_of, read_text
from chargehand.tools.editing.own_diff import apply_own_diff, is_own_diff
from chargehand.tools.guarding.roots import Roots

LINES = st.lists(
    st.sampled_from(["a", "b", "", "-- a/x.py", "--- a/x.py", "++ b/x.py", "+++ b/x.py", "@@ -1 +1 @@", "\\ No", " c"]),
    max_size=12,
)
# Without blank lines at the end: a file without a final line end loses one each time it is written.
TEXTS = st.builds(lambda lines, end: "\n".join(lines).rstrip("\n") + end, LINES, st.sampled_from(["", "\n"]))


def rewritten(folder: Path, name: str, before: str, text: str) -> FileWrite:
    """A file with Windows line ends, and the change that gives it this text."""
    data = before.replace("\n", "\r\n").encode()
    (folder / name).write_bytes(data)
    content = read_text(data)
    after = in_form_of(text, content)
    return FileWrite(name, (folder, Path(name)), data, after, content.text, content.read_again(after))


@settings(max_examples=50)
@given(TEXTS, TEXTS, TEXTS)
def test_a_diff_gives_the_bytes_that_its_change_would_write(before: str, after: str, other: str):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        made = (rewritten(folder, "x.py", before, after), rewritten(folder, "y.py", before, other))
        empty = [FileWrite(name, (folder, Path(name)), None, b"", "", "") for name in ("new b/e.py", "f.py")]
        files = [*(file for file in made if file.after != file.before), *empty]
        diff = Change(tuple(files)).as_text()

        assert is_own_diff(diff)
        assert [(f.relative, f.data) for f in apply_own_diff(diff, Roots((folder,)))] == [
            (f.relative, f.after) for f in files
        ]

"""What keeps a task on the machine, and how it is said."""

from pathlib import Path

import pytest
from planted import AWS_KEY

from chargehand.tools.editing.prompt import Prompt
from chargehand.tools.guarding.local_paths import LocalPaths
from chargehand.tools.guarding.outgoing import MustStayLocal, clear_for_sending
from chargehand.tools.guarding.own_patterns import own_pattern
from chargehand.tools.guarding.privacy import Examination, Passage, Privacy, Reason, examine
from chargehand.tools.guarding.secrets import SecretSearch
from chargehand.tools.provider import Turn

pytestmark = pytest.mark.anyio

ROOT = Path("/srv/shop")
BILLING = Privacy(local_paths=LocalPaths(("billing/**",)))
RATES = Passage("billing/rates.py", "RATE = 1\n", ROOT / "billing/rates.py")
KEYED = Passage("a.py", f"x\nKEY = '{AWS_KEY}'\n", ROOT / "a.py")


async def test_what_nothing_speaks_against_may_leave():
    examined = await examine(BILLING, [Passage("task", "Sort it."), Passage("a.py", "x = 1", ROOT / "a.py")], [ROOT])

    assert examined == Examination()
    assert (examined.must_stay_local, examined.notes, examined.remedy) == (False, (), None)


async def test_a_path_and_a_secret_are_told_apart_with_what_to_do():
    by_path = await examine(BILLING, [RATES], [ROOT])
    by_secret = await examine(BILLING, [KEYED], [ROOT])

    assert by_path.reasons == (Reason("path", "billing/rates.py lies under [privacy] local_only (billing/**)"),)
    assert "remove its path from" in (by_path.remedy or "")
    assert by_secret.reasons == (Reason("secret", "a.py:2 holds what looks like a secret (aws-access-key)"),)
    assert "remove the secret" in (by_secret.remedy or "")


async def test_a_path_that_reads_like_the_reason_for_a_secret_gets_the_remedy_for_a_path():
    name = "billing/this holds what looks like a secret.py"

    examined = await examine(BILLING, [Passage(name, "x = 1", ROOT / name)], [ROOT])

    assert "remove its path from" in (examined.remedy or "")


async def test_a_file_that_is_not_read_counts_by_its_place():
    examined = await examine(BILLING, [], [ROOT], paths=[ROOT / "billing/new.py", ROOT / "other.py"])

    assert examined.reasons == (Reason("path", f"{ROOT}/billing/new.py lies under [privacy] local_only (billing/**)"),)


async def test_redaction_frees_a_task_from_its_secrets_and_not_from_its_paths():
    redacting = Privacy(local_paths=BILLING.local_paths, on_secret="redact")

    assert not (await examine(redacting, [KEYED], [ROOT])).must_stay_local
    assert (await examine(redacting, [KEYED, RATES], [ROOT])).must_stay_local


async def test_many_findings_are_counted_and_not_listed():
    text = "\n".join(f"key_{n} = '{AWS_KEY}'" for n in range(40))

    (note,) = (await examine(Privacy(), [Passage("a.py", text, ROOT / "a.py")], [ROOT])).notes

    assert "a.py:5 holds" in note
    assert "a.py:6 holds" not in note
    assert note.endswith("; and 35 more.")


def test_a_prompt_that_still_holds_a_secret_when_all_were_replaced_does_not_leave():
    its_own_placeholder = SecretSearch((own_pattern("mark", "<redacted:[a-z]+|AB-[0-9]{4}"),))
    prompt = Prompt("Be brief.", (Turn("user", "Use AB-1234."),))

    with pytest.raises(MustStayLocal, match=r"line 1 of the prompt holds .*\(mark\)"):
        clear_for_sending(prompt, Privacy(secrets=its_own_placeholder, on_secret="redact"))

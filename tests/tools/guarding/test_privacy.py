"""Reasons that keep a task on the machine, and how they are reported."""

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
WITH_KEY = Passage("a.py", f"x\nKEY = '{AWS_KEY}'\n", ROOT / "a.py")


async def test_texts_without_local_paths_or_secrets_may_leave_the_machine():
    examined = await examine(BILLING, [Passage("task", "Sort it."), Passage("a.py", "x = 1", ROOT / "a.py")], [ROOT])

    assert examined == Examination()
    assert (examined.must_stay_local, examined.notes, examined.remedy) == (False, (), None)


async def test_local_paths_and_secrets_are_reported_with_their_own_remedies():
    path_result = await examine(BILLING, [RATES], [ROOT])
    secret_result = await examine(BILLING, [WITH_KEY], [ROOT])

    assert path_result.reasons == (Reason("path", "billing/rates.py lies under [privacy] local_only (billing/**)"),)
    assert "remove its path from" in (path_result.remedy or "")
    assert secret_result.reasons == (Reason("secret", "a.py:2 holds what looks like a secret (aws-access-key)"),)
    assert "remove the secret" in (secret_result.remedy or "")


async def test_a_path_worded_like_a_secret_finding_gets_the_remedy_for_paths():
    name = "billing/this holds what looks like a secret.py"

    examined = await examine(BILLING, [Passage(name, "x = 1", ROOT / name)], [ROOT])

    assert "remove its path from" in (examined.remedy or "")


async def test_a_file_that_is_not_read_is_examined_by_its_path():
    examined = await examine(BILLING, [], [ROOT], paths=[ROOT / "billing/new.py", ROOT / "other.py"])

    assert examined.reasons == (Reason("path", f"{ROOT}/billing/new.py lies under [privacy] local_only (billing/**)"),)


async def test_redaction_lifts_local_only_for_secrets_but_not_for_paths():
    redacting = Privacy(local_paths=BILLING.local_paths, on_secret="redact")

    assert not (await examine(redacting, [WITH_KEY], [ROOT])).must_stay_local
    assert (await examine(redacting, [WITH_KEY, RATES], [ROOT])).must_stay_local


async def test_only_the_first_five_findings_are_listed_and_the_rest_are_counted():
    text = "\n".join(f"key_{n} = '{AWS_KEY}'" for n in range(40))

    (note,) = (await examine(Privacy(), [Passage("a.py", text, ROOT / "a.py")], [ROOT])).notes

    assert "a.py:5 holds" in note
    assert "a.py:6 holds" not in note
    assert note.endswith("; and 35 more.")


def test_a_prompt_that_still_contains_a_secret_after_redaction_is_not_sent():
    matches_its_placeholder = SecretSearch((own_pattern("mark", "<redacted:[a-z]+|AB-[0-9]{4}"),))
    prompt = Prompt("Be brief.", (Turn("user", "Use AB-1234."),))

    with pytest.raises(MustStayLocal, match=r"line 1 of the prompt holds .*\(mark\)"):
        clear_for_sending(prompt, Privacy(secrets=matches_its_placeholder, on_secret="redact"))

"""The classes of failure of a call, and what each means for the bill. Pure; docs/adr/0010 has the reasons."""

from __future__ import annotations

from typing import Final

NOT_SENT: Final = "not_sent"
"""Nothing that costs had left: resolving, connecting, TLS, or an upload that is free. Tried again."""

THROTTLED: Final = "throttled"
"""The service asks to wait. Tried again after that; the attempt isn't consumed."""

NEEDS_MONEY: Final = "needs_money"
"""Quota, credit or subscription are used up. Nothing more is sent; the run can be resumed."""

REJECTED: Final = "rejected"
"""The service refused the request; it costs nothing, and asking again would give the same."""

AMBIGUOUS: Final = "ambiguous"
"""The request may have been accepted and billed, and no valid answer came: the call is in doubt."""

PAID_UNUSABLE: Final = "paid_unusable"
"""An answer came and is billed, but can't be believed."""

LOCAL: Final = "local"
"""Our side: memory, model, disk, or the process that went away before anything that costs was sent."""

UNDER_WAY: Final = "under_way"
"""Not a failure of the call: an accepted job is not finished yet, and is asked for again by the next run."""

KINDS: Final = (NOT_SENT, THROTTLED, NEEDS_MONEY, REJECTED, AMBIGUOUS, PAID_UNUSABLE, LOCAL)
"""Those that `call.failed` may name."""

ADOPTED, ABSENT, REPEATED, EXPIRED, GIVEN_UP = "adopted", "absent", "repeated", "expired", "given_up"
"""Resolutions of a call in doubt: its job was found; it can't have been accepted; it was sent once more, and may be
paid twice; its result is gone; it is left as it is."""

"""The legacy application, as far as its writes go (tyler-setup.md, "Writes that go on during a migration").

Its manners are kept: a login puts the whole user back, a refresh leaves the old token, config is overwritten whole,
every action leaves an audit entry, and whatever else stands in an item is left there without being understood.
"""

from collections.abc import Mapping
from functools import partial
from random import Random

from domain.items import AttributeValue, Item, number, text
from service.demo.journal import Journal, Name, expires_s, wall_ms
from service.demo.people import NAMES, People, words
from service.demo.traffic import Action
from service.demo.writing import KEYS, Update, Write, Writer, delete, put

_SHORT_S = 60
"""Invitations that end so soon carry a ``token``, as no other does: DynamoDB Local's TTL passes over items that lack a
key of one of their table's indexes. (It also looks at some twenty items of a table in ten seconds, no more.)
"""

_ADMIN = "11111111-1111-4111-8111-111111111111"  # of the sample


class LegacyApp:
    """Actions on the legacy tables; each returns how many writes it did."""

    def __init__(self, writer: Writer, random: Random) -> None:
        """Write through ``writer``; draw from ``random``."""
        self._writer = writer
        self._random = random
        self._people = People(random)
        self._journal: Journal = writer.journal
        self._deleted_users: list[Item] = []

    def actions(self) -> Mapping[Action, int]:
        """Return every action with its weight."""
        return {
            self.log_in: 24,
            self.fail_to_log_in: 4,
            self.refresh: 12,
            self.log_out: 8,
            self.create_user: 6,
            partial(self.update_user, "email"): 6,
            partial(self.update_user, "name"): 6,
            partial(self.update_user, "isActive"): 6,
            partial(self.update_user, "locale"): 2,
            self.delete_user: 4,
            self.restore_user: 2,
            partial(self.invite, 3 * 86_400, 0): 3,
            partial(self.invite, 30, 0): 3,
            partial(self.invite, 5, 86_400): 3,
            self.use_access: 8,
            self.revoke: 3,
            self.clean_up: 2,
            self.overwrite_config: 5,
            self.erase_audit: 2,
        }

    async def log_in(self) -> int:
        """Put the whole user back with a new lastLogin, and put a refresh token."""
        name, now = self._any("users"), wall_ms()
        login: Item = {"lastLogin": number(now), "lastLoginIP": text(self._people.address())}
        if name is None or not await self._writer.change(name, "login", lambda user: put({**user, **login})):
            return 0
        return 1 + await self._new_token(name.key) + await self._audit("LOGIN_SUCCESS", name.key)

    async def fail_to_log_in(self) -> int:
        """Leave an audit entry without a user: nobody knows who tried."""
        return await self._audit("LOGIN_FAILED", None, email=text(self._people.email()), reason=text("unknown e-mail"))

    async def refresh(self) -> int:
        """Put a new token and leave the old one."""
        former = self._journal.latest(self._any("refresh-tokens") or Name("", ""))
        if former is None or "userId" not in former:
            return 0
        user_id = former["userId"]["S"]
        written = await self._new_token(user_id, lastUsed=number(wall_ms()), createdAt=former["createdAt"])
        return written + await self._audit("REFRESH_TOKEN_SUCCESS", user_id)

    async def log_out(self) -> int:
        """Delete a token."""
        done = await self._writer.change(self._any("refresh-tokens"), "logout", lambda _: delete())
        return done + await self._audit("LOGOUT", self._user_id())

    async def create_user(self) -> int:
        """Put a user nobody knows yet."""
        user = self._people.user(wall_ms())
        done = await self._create("users", user, "create user")
        return done + await self._audit(
            "USER_CREATED", _ADMIN, targetUserId=user["id"], details={"M": {"role": user["role"]}}
        )

    async def update_user(self, what: str) -> int:
        """Change one attribute by UpdateItem."""
        values = {
            "email": text(self._people.email()),
            "name": text(self._random.choice(NAMES)),
            "isActive": {"BOOL": self._random.choice([True, False])},
            "locale": {"M": {"language": text("sv"), "offset": {"N": "5.5"}}},  # no handler reads it
        }
        sets = {what: values[what], "updatedAt": number(wall_ms())}
        name = self._any("users")
        if name is None or not await self._writer.change(name, f"update {what}", Update(sets=sets).on):
            return 0
        return 1 + await self._audit("USER_UPDATED", _ADMIN, targetUserId=text(name.key), changes=words([what]))

    async def delete_user(self) -> int:
        """Delete a user; tokens and audit entries stay."""
        name = self._any("users")
        if name is None or name.key == _ADMIN:
            return 0

        def remember(user: Item) -> Write:
            self._deleted_users.append(user)
            return delete()

        done = await self._writer.change(name, "delete user", remember)
        return done + await self._audit("USER_DELETED", _ADMIN, targetUserId=text(name.key))

    async def restore_user(self) -> int:
        """Put a deleted user again, under the same id, as it was."""
        if not self._deleted_users:
            return 0
        user = self._deleted_users.pop()
        if self._journal.latest(Name("users", user["id"]["S"])) is not None:
            return 0
        return await self._create("users", user, "restore user")

    async def invite(self, access_s: int, kept_s: int) -> int:
        """Put a contractor: for days, for seconds (TTL deletes it), or over before TTL (daily clean-up deletes it)."""
        contractor = self._people.contractor(wall_ms(), access_s=access_s, kept_s=kept_s)
        if access_s <= _SHORT_S and not kept_s:
            contractor["token"] = text(self._people.secret())
        done = await self._create("contractors", contractor, "invite")
        details = {"M": {"contractorEmail": contractor["email"], "accessDuration": contractor["accessDuration"]}}
        return done + await self._audit("CONTRACTOR_INVITED", _ADMIN, details=details, resource=contractor["id"])

    async def use_access(self) -> int:
        """Count an access by ADD."""
        sets = {"lastAccess": number(wall_ms()), "status": text("active")}
        edit = Update(sets=sets, adds={"accessCount": 1}).on
        done = await self._writer.change(self._any("contractors"), "access", edit)
        return done + await self._audit("CONTRACTOR_ACCESS", None, endpoint=text("/secrets"), count=number(1))

    async def revoke(self) -> int:
        """Withdraw a contractor's access."""
        sets = {"status": text("revoked"), "revokedAt": number(wall_ms()), "revokedBy": text(_ADMIN)}
        done = await self._writer.change(self._any("contractors"), "revoke", Update(sets=sets).on)
        return done + await self._audit("CONTRACTOR_REVOKED", _ADMIN)

    async def clean_up(self) -> int:
        """Delete the contractors whose access is over, as the daily job does."""
        now, deleted = wall_ms(), 0
        for name, history in list(self._journal.histories.items()):
            image = history[-1].after
            if name.table != "contractors" or image is None or int(image["expiresAt"]["N"]) >= now:
                continue
            expires = expires_s(history[-1].side, name.table, image)
            if expires is None or expires > now // 1000 + 20:  # else TTL may be faster
                deleted += await self._writer.change(name, "clean up", lambda _: delete())
        return deleted + await self._audit("CLEANUP", None, count=number(deleted))

    async def overwrite_config(self) -> int:
        """Put config whole, from what the settings page sends, whatever stood there."""
        name = self._any("config")
        if name is None:
            return 0
        sent = self._people.config(name.key, wall_ms())
        done = await self._writer.change(name, "overwrite config", lambda _: put(sent))
        return done + await self._audit("CONFIG_UPDATED", _ADMIN, changes=words(sorted(sent)))

    async def erase_audit(self) -> int:
        """Delete an audit entry, as an erasure request demands now and then."""
        return await self._writer.change(self._any("audit"), "erase audit", lambda _: delete())

    async def _new_token(self, user_id: str, **more: AttributeValue) -> int:
        token = self._people.token(user_id, wall_ms()) | more
        return await self._create("refresh-tokens", token, "new token")

    async def _audit(self, action: str, user_id: str | None, **more: AttributeValue) -> int:
        entry = self._people.audit(action, user_id=user_id, more=more)
        return await self._create("audit", entry, "audit")

    async def _create(self, table: str, item: Item, kind: str) -> int:
        return await self._writer.create(Name(table, item[KEYS[table]]["S"]), kind, put(item))

    def _any(self, table: str) -> Name | None:
        return self._journal.choose(table, self._random)

    def _user_id(self) -> str | None:
        name = self._any("users")
        return name.key if name is not None else None

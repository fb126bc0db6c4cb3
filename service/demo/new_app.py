"""The new GraphQL backend on `entities`: how it writes once the target serves (tyler-setup.md, "Target side").

It is a stranger to us on purpose. It changes `status` and never looks at `isActive`, renames through `fullName`, counts
`version` up, adds attributes of its own, puts items without our stamp, and in read-modify-write carries along whatever
it read, the stamp included. Index keys it keeps right itself.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random
from typing import Final

from domain.items import STAMP, AttributeValue, Item, number, text
from domain.phases import Side
from service.demo.journal import Journal, Name, wall_ms
from service.demo.people import DAY_MS, NAMES, People
from service.demo.traffic import Action
from service.demo.writing import ENTITIES, Update, Write, Writer, delete, key_of, put

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def moment(milliseconds: int) -> str:
    """Return a time as the index keys hold it."""
    return (_EPOCH + timedelta(milliseconds=milliseconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def monogram(full_name: str) -> str:
    """Return the capitals of the first and the last word."""
    parts = full_name.split()
    return "".join(part[0].upper() for part in ([parts[0], parts[-1]] if len(parts) > 1 else parts))


class NewApp:
    """Actions on the single table; each returns how many writes it did."""

    def __init__(self, writer: Writer, random: Random) -> None:
        """Write through ``writer``; draw from ``random``."""
        self._writer = writer
        self._random = random
        self._people = People(random)
        self._journal: Journal = writer.journal

    def actions(self) -> Mapping[Action, int]:
        """Return every action with its weight."""
        return {
            self.log_in: 18,
            partial(self.set_status, "INACTIVE"): 6,
            partial(self.set_status, "ACTIVE"): 4,
            self.change_email: 6,
            self.rename: 6,
            self.set_preferences: 8,
            self.save_whole: 8,
            self.forget_address: 2,
            self.create_user: 6,
            self.delete_user: 4,
            self.refresh: 8,
            self.log_out: 6,
            self.invite: 4,
            self.extend: 3,
            self.use_access: 6,
            self.revoke: 3,
            self.delete_contractor: 2,
            self.set_config: 3,
            self.save_config: 3,
            self.erase_audit: 2,
        }

    async def log_in(self) -> int:
        """Set lastLogin by UpdateItem, and put a token."""
        sets = {"lastLogin": number(wall_ms()), "lastLoginIP": text(self._people.address())}
        name = self._any("users")
        if name is None or not await self._writer.change(name, "login", Update(sets=sets).on):
            return 0
        return 1 + await self._new_token(name.key) + await self._audit("LOGIN_SUCCESS", name.key)

    async def set_status(self, status: str) -> int:
        """Deactivate or activate a user; `isActive` is none of this application's business."""
        edit = Update(sets={"status": text(status)}, adds={"version": 1}).on
        name = self._any("users")
        done = await self._writer.change(name, f"status {status}", edit)
        return done + await self._audit("STATUS_CHANGED", name.key if name else None)

    async def change_email(self) -> int:
        """Change the address and its index key in one write."""
        email = text(self._people.email())
        edit = Update(sets={"email": email, "GSI2PK": email}, adds={"version": 1}).on
        return await self._writer.change(self._any("users"), "email", edit)

    async def rename(self) -> int:
        """Change `fullName` and what the page shows of it; `name` is the legacy application's."""
        chosen = self._random.choice(NAMES)

        def edit(user: Item) -> Write:
            sets = {"fullName": text(chosen), "initials": text(monogram(chosen))}
            if "M" in user.get("profile", {}) and self._random.choice([True, False]):
                sets["profile.displayName"] = text(chosen)
            return Update(sets=sets, adds={"version": 1}).on(user)

        return await self._writer.change(self._any("users"), "rename", edit)

    async def set_preferences(self) -> int:
        """Set an attribute that no legacy table knows."""
        theme = text(self._random.choice(["dark", "light"]))
        preferences = {"M": {"theme": theme, "scale": {"N": "1.25"}, "pinned": {"L": [number(3), {"NULL": True}]}}}
        edit = Update(sets={"preferences": preferences}, adds={"version": 1}).on
        return await self._writer.change(self._any("users"), "preferences", edit)

    async def save_whole(self) -> int:
        """Read, change, put whole: with what stands there, the stamp too, or without the stamp."""
        keeps_stamp = self._random.choice([True, False])
        seen = text(moment(wall_ms()))

        def edit(user: Item) -> Write:
            kept = {name: value for name, value in user.items() if keeps_stamp or name != STAMP}
            return put({**kept, "lastSeenAt": seen})

        return await self._writer.change(self._any("users"), "save whole", edit)

    async def forget_address(self) -> int:
        """Remove attributes."""
        edit = Update(removes=["lastLoginIP", "preferences"], adds={"version": 1}).on
        return await self._writer.change(self._any("users"), "forget address", edit)

    async def create_user(self) -> int:
        """Put a user in the target's form, without the legacy application's words for it."""
        now, email, chosen = wall_ms(), text(self._people.email()), self._random.choice(NAMES)
        user_id = self._people.uuid()
        own: Item = {
            "role": text("user"),
            "passwordHash": text(self._people.password_hash()),
            "createdAt": number(now),
            "createdBy": text("graphql"),
            "lastLogin": {"NULL": True},
            "email": email,
            "status": text("ACTIVE"),
            "fullName": text(chosen),
            "initials": text(monogram(chosen)),
            "tags": {"SS": ["beta", "new"]},
            "profile": {"M": {"displayName": text(chosen), "pronouns": text("they")}},
        }
        index = _entries({1: ("USER", moment(now)), 2: (email["S"], "USER")})
        done = await self._create("users", user_id, own | index)
        return done + await self._audit("USER_CREATED", user_id)

    async def delete_user(self) -> int:
        """Delete a user."""
        return await self._writer.change(self._any("users"), "delete user", lambda _: delete())

    async def refresh(self) -> int:
        """Put a new token for somebody."""
        name = self._any("users")
        return await self._new_token(name.key) if name else 0

    async def log_out(self) -> int:
        """Delete a token."""
        done = await self._writer.change(self._any("refresh-tokens"), "logout", lambda _: delete())
        return done + await self._audit("LOGOUT", None)

    async def invite(self) -> int:
        """Put a contractor, for days or for seconds."""
        made = self._people.contractor(wall_ms(), access_s=self._random.choice([25, 90_000, 200_000]))
        expires, created = moment(int(made["expiresAt"]["N"])), moment(int(made["createdAt"]["N"]))
        key, own = made.pop("id")["S"], {**made, "expireAt": made["ttl"], "channel": text("graphql")}
        index = {
            1: ("CONTRACTOR", expires),
            2: (made["email"]["S"], "CONTRACTOR"),
            3: (f"CONTRACTOR_TOKEN#{made['tokenHash']['S']}", expires),
            4: (f"CONTRACTOR#{created[:7]}", f"{created}#{key}"),
        }
        return await self._create("contractors", key, own | _entries(index))

    async def extend(self) -> int:
        """Give a contractor another day: `expireAt` decides, `ttl` is the legacy table's."""

        def edit(contractor: Item) -> Write:
            until = int(contractor["expiresAt"]["N"]) + DAY_MS
            sets = {"expiresAt": number(until), "expireAt": number(until // 1000)}
            sets |= {name: text(moment(until)) for name in ("GSI1SK", "GSI3SK") if name in contractor}
            return Update(sets=sets, adds={"version": 1}).on(contractor)

        return await self._writer.change(self._any("contractors"), "extend", edit)

    async def use_access(self) -> int:
        """Count an access by ADD."""
        edit = Update(sets={"lastAccess": number(wall_ms()), "status": text("active")}, adds={"accessCount": 1}).on
        return await self._writer.change(self._any("contractors"), "access", edit)

    async def revoke(self) -> int:
        """Withdraw a contractor's access."""
        edit = Update(sets={"status": text("revoked"), "revokedAt": number(wall_ms())}, adds={"version": 1}).on
        done = await self._writer.change(self._any("contractors"), "revoke", edit)
        return done + await self._audit("CONTRACTOR_REVOKED", None)

    async def delete_contractor(self) -> int:
        """Delete a contractor."""
        return await self._writer.change(self._any("contractors"), "delete contractor", lambda _: delete())

    async def set_config(self) -> int:
        """Change one setting, and when."""
        now = wall_ms()
        sets = {
            "teamSize": number(self._random.randrange(5, 200)),
            "updatedAt": number(now),
            "GSI1SK": text(moment(now)),
        }
        return await self._writer.change(self._any("config"), "set config", Update(sets=sets, adds={"version": 1}).on)

    async def save_config(self) -> int:
        """Put config whole, with a setting the legacy page does not have; what stood there besides is gone."""
        name, now = self._any("config"), wall_ms()
        if name is None:
            return 0
        own = self._people.config(name.key, now) | {"theme": text("dark"), "quota": {"N": "99999999999.75"}}
        item = self._whole(name, own | _entries({1: ("CONFIG", moment(now))}))
        return await self._writer.change(name, "save config", lambda _: put(item))

    async def erase_audit(self) -> int:
        """Delete an audit entry and the item beside it, in one transaction."""
        name = self._any("audit")

        def edit(entry: Item) -> Write:
            keys = [{"PK": entry["PK"], "SK": entry["SK"]}]
            if entry.get("userId", {}).get("S"):
                keys.append({"PK": text(f"USER#{entry['userId']['S']}"), "SK": entry["PK"]})
            deletes = [{"Delete": {"TableName": self._table, "Key": key}} for key in keys]
            return Write("TransactWriteItems", {"TransactItems": deletes}, None)

        return await self._writer.change(name, "erase audit", edit)

    async def _new_token(self, user_id: str) -> int:
        made = self._people.token(user_id, wall_ms())
        until = int(made["expiresAt"]["N"])
        key, expires = made.pop("token")["S"], moment(until)
        index = {1: (f"REFRESH_TOKEN#{expires[:7]}", expires), 2: (f"USER#{user_id}", expires)}
        own = {**made, "expireAt": number(until // 1000), "device": text("web")}
        return await self._create("refresh-tokens", key, own | _entries(index))

    async def _audit(self, action: str, user_id: str | None) -> int:
        """Put an entry and, where there is a user, the item beside it, in one transaction."""
        entry = self._people.audit(action, user_id=user_id)
        key, at = entry.pop("id")["S"], moment(int(entry["timestamp"]["N"]))
        index = {
            1: (f"AUDIT#{at[:7]}", at),
            2: (f"{action}#{at[:7]}", at),
            4: (at[:7], f"{at}#{key}"),
        }
        if user_id is not None:
            index[3] = (f"AUDIT_BY_USER#{user_id}", at)
        name = Name("audit", key)
        primary = self._whole(name, entry | _entries(index))
        items = [primary] + ([_beside(primary, user_id)] if user_id is not None else [])
        puts = [{"Put": {"TableName": self._table, "Item": item}} for item in items]
        write = Write("TransactWriteItems", {"TransactItems": puts}, primary)
        return await self._writer.create(name, "audit", write)

    async def _create(self, table: str, key: str, own: Item) -> int:
        name = Name(table, key)
        return await self._writer.create(name, "create", put(self._whole(name, own)))

    def _whole(self, name: Name, own: Item) -> Item:
        """Return an item with its key and what every primary item has."""
        common = {"entityType": text(ENTITIES[name.table]), "id": text(name.key), "version": number(1)}
        return {**own, **common, **key_of(Side.TARGET, name)}

    @property
    def _table(self) -> str:
        return self._writer.table(Name("", ""))

    def _any(self, table: str) -> Name | None:
        return self._journal.choose(table, self._random)


def _beside(entry: Item, user_id: str) -> Item:
    """Return the item by which a user's audit entries are found."""
    about: dict[str, AttributeValue] = {"action": entry["action"], "timestamp": entry["timestamp"]}
    return {
        "PK": text(f"USER#{user_id}"),
        "SK": entry["PK"],
        "entityType": text("USER_AUDIT"),
        "relationshipType": text("USER_AUDIT"),
        "targetId": entry["id"],
        "metadata": {"M": about},
    }


def _entries(index: Mapping[int, tuple[str, str]]) -> Item:
    """Return index keys by the number of the index."""
    pairs = {f"GSI{number_}PK": text(pair[0]) for number_, pair in index.items()}
    return pairs | {f"GSI{number_}SK": text(pair[1]) for number_, pair in index.items()}

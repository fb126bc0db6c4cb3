"""Synthetic people and what the legacy application keeps about them, in the form in which it writes them.

Hostile on purpose where the real tables are: names that are not ASCII or one word, attributes that no handler knows,
38 figures, attributes whose names the target reserves, audit entries without a user.
"""

from random import Random
from typing import Final

from domain.items import AttributeValue, Item, number, text
from service.demo.journal import wall_ms

DAY_MS: Final = 86_400_000

NAMES: Final = (
    "Ada Lovelace", "Zoë Åström", "Þórdís Ólafsdóttir", "李 小龍", "Cher", "Jean-Luc O’Neil", "Σοφία Παπαδοπούλου",
    "Nguyễn Thị Minh", "José María de la Cruz", "Иван Петров", "Ōe Kenzaburō", "Ewa Żak",
)  # fmt: skip

ODDITIES: Final[tuple[Item, ...]] = (
    {"status": {"S": "vip"}},
    {"profile": {"S": "see intranet"}},
    {"version": {"S": "1.2"}},
    {"version": {"N": "7"}},
    {"PK": {"S": "personnel key"}, "GSI1PK": {"N": "12"}},
    {"expireAt": {"N": "1600000000"}},
    {"_stamp": {"S": "rubber"}},
    {"badge": {"N": "12345678901234567890123456789012345678"}},
    {"factor": {"N": "0.1"}, "scopes": {"SS": ["read", "write"]}},
    {"portrait": {"B": "iVBORw0KGgo="}, "manager": {"NULL": True}},
)
"""Attributes of legacy users that no handler knows; several bear names that the target reserves."""

_AGENTS: Final = ("Mozilla/5.0 (X11; Linux x86_64)", "curl/8.5.0", "Mozilla/5.0 (iPhone)")


def words(values: list[str]) -> AttributeValue:
    """Return the wire form of a list of strings."""
    return {"L": [text(value) for value in values]}


class People:
    """Makes items of the legacy form; all chance comes from one seeded ``random``."""

    def __init__(self, random: Random) -> None:
        """Draw from ``random``."""
        self.random = random

    def uuid(self) -> str:
        """Return a version-4 UUID."""
        digits = f"{self.random.getrandbits(128):032x}"
        variant = "89ab"[int(digits[16], 16) % 4]
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"

    def secret(self, bits: int = 256) -> str:
        """Return random hex digits, as tokens and their hashes are."""
        return f"{self.random.getrandbits(bits):0{bits // 4}x}"

    def password_hash(self) -> str:
        """Return something of the shape of an argon2id hash."""
        return f"$argon2id$v=19$m=65536,t=3,p=1${self.secret(88)}${self.secret(172)}"

    def address(self) -> str:
        """Return a private IPv4 address."""
        return f"10.{self.random.randrange(256)}.{self.random.randrange(256)}.{self.random.randrange(1, 255)}"

    def email(self, domain: str = "example.com") -> str:
        """Return an e-mail address that nobody has yet."""
        return f"{self.secret(48)}@{domain}"

    def user(self, created_ms: int, *, odd: Item | None = None) -> Item:
        """Return a user as the legacy application creates one."""
        item = {
            "id": text(self.uuid()),
            "email": text(self.email()),
            "name": text(self.random.choice(NAMES)),
            "role": text(self.random.choice(["admin", "user", "user"])),
            "passwordHash": text(self.password_hash()),
            "isActive": {"BOOL": self.random.choice([True] * 9 + [False])},
            "createdAt": number(created_ms),
            "createdBy": text("system"),
            "lastLogin": {"NULL": True},
        }
        return item | (odd or {})

    def contractor(self, created_ms: int, *, access_s: int, kept_s: int = 0) -> Item:
        """Return an invitation that ends after ``access_s`` and which DynamoDB may delete ``kept_s`` later."""
        expires_ms = created_ms + access_s * 1000
        return {
            "id": text(self.uuid()),
            "email": text(self.email("vendor.example")),
            "name": text(self.random.choice(NAMES)),
            "company": text(self.random.choice(["Vendor Ltd", "External", "Åkerlund & Söner"])),
            "tokenHash": text(self.secret()),
            "createdAt": number(created_ms),
            "expiresAt": number(expires_ms),
            "ttl": number(expires_ms // 1000 + kept_s),
            "accessDuration": number(max(1, access_s // 86_400)),
            "allowedSecrets": words(self.random.sample(["db/readonly", "ci/token", "s3/logs"], 2)),
            "permissions": words(["read"]),
            "reason": text("audit"),
            "invitedBy": text(self.uuid()),
            "invitedByEmail": text("admin@example.com"),
            "status": text("pending"),
            "accessCount": number(0),
            "lastAccess": {"NULL": True},
        }

    def token(self, user_id: str, created_ms: int) -> Item:
        """Return a refresh token of seven days; its writers never set ``ttl``."""
        return {
            "token": text(self.secret(512)),
            "userId": text(user_id),
            "expiresAt": number(created_ms + 7 * DAY_MS),
            "createdAt": number(created_ms),
            "ip": text(self.address()),
            "userAgent": text(self.random.choice(_AGENTS)),
        }

    def audit(self, action: str, *, user_id: str | None, at_ms: int | None = None, more: Item | None = None) -> Item:
        """Return an audit entry; without a user when ``user_id`` is None."""
        moment = wall_ms() if at_ms is None else at_ms
        item = {
            "id": text(f"{moment}-{self.secret(40)}"),
            "timestamp": number(moment),
            "stage": text("prod"),
            "service": text("employee-setup"),
            "action": text(action),
            "ip": text(self.address()),
        }
        return item | (more or {}) | ({} if user_id is None else {"userId": text(user_id)})

    def config(self, key: str, at_ms: int) -> Item:
        """Return what the settings page sends, whole."""
        return {
            "key": text(key),
            "teamSize": number(self.random.randrange(5, 200)),
            "contractorEnabled": {"BOOL": self.random.choice([True, False])},
            "secretRotationDays": number(30),
            "sessionTimeout": {"N": self.random.choice(["12.5", "8", "0.25"])},
            "ratio": {"N": "0.1"},
            "mfaRequired": {"BOOL": True},
            "allowedDomains": words(["example.com", "candlefish.ai"]),
            "updatedAt": number(at_ms),
            "updatedBy": text(self.uuid()),
        }

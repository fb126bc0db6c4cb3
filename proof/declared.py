"""What an attribute of a table is called where tables are declared: in CloudFormation and in Terraform.

Sources: CloudFormation, "AWS::DynamoDB::Table"; Terraform's AWS provider, "aws_dynamodb_table".
"""

from collections.abc import Mapping
from enum import Enum
from typing import Final


class Setting(Enum):
    """What of a table a plan can find different."""

    TABLE = "table"
    KEY = "key"
    STREAM = "stream"
    INDEX = "index"
    LOCAL_INDEX = "local index"
    PROJECTION = "projection"
    LIFETIME = "time to live"
    PROTECTION = "protection"


_NAMES: Final[Mapping[Setting, tuple[str, str]]] = {
    Setting.TABLE: ("AWS::DynamoDB::Table", "aws_dynamodb_table"),
    Setting.KEY: ("KeySchema", "hash_key, range_key"),
    Setting.STREAM: ("StreamSpecification.StreamViewType", "stream_view_type"),
    Setting.INDEX: ("GlobalSecondaryIndexes", "global_secondary_index"),
    Setting.LOCAL_INDEX: ("LocalSecondaryIndexes", "local_secondary_index"),
    Setting.PROJECTION: ("Projection.NonKeyAttributes", "non_key_attributes"),
    Setting.LIFETIME: ("TimeToLiveSpecification", "ttl"),
    Setting.PROTECTION: ("DeletionProtectionEnabled", "deletion_protection_enabled"),
}


def declared(setting: Setting) -> str:
    """Return the names as a remark in brackets."""
    formation, terraform = _NAMES[setting]
    return f"({formation} in CloudFormation, {terraform} in Terraform)"

"""``python -m service.reference``: the settings as a page of documentation, from the settings themselves."""

from service.settings import ENVIRONMENT, Settings

_HEAD = """# Settings

From the environment, or from the flag of the same name where a command has one; `python -m service.reference` prints
this page. The plan's own variables (SECRETS_PREFIX) and AWS's (credentials, profile) work as everywhere.

| variable | default | means |
| --- | --- | --- |
| `TABLETURN_ENDPOINT_URL` | none | where DynamoDB answers; none: AWS |
"""


def settings_page() -> str:
    """Return the page in Markdown."""
    rows = []
    for name, field in Settings.model_fields.items():
        if name in ENVIRONMENT:
            default = "none" if field.default in {None, ""} else str(field.default)
            rows.append(f"| `{ENVIRONMENT[name]}` | {default} | {field.description} |\n")
    return _HEAD + "".join(rows)


if __name__ == "__main__":
    print(settings_page(), end="")  # noqa: T201 - this is the output

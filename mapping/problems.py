"""What is wrong with a plan, said so that its author can mend it (tyler-setup rule 6)."""

from dataclasses import dataclass

from domain.errors import FatalError


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong: where in the file (``entities.USER.key``), what, and the way out."""

    where: str
    what: str
    way_out: str

    def __str__(self) -> str:
        """Return it as one line."""
        return f"{self.where}: {self.what} → {self.way_out}"


class PlanError(FatalError):
    """The plan cannot be used. ``problems`` holds everything found, not only the first."""

    def __init__(self, file: str, problems: list[Problem]) -> None:
        """Name the file and list the problems, one a line."""
        lines = [f"  {problem}" for problem in problems]
        super().__init__("\n".join([f"plan {file} cannot be used:", *lines]), hint="mend the plan file and try again")
        self.file = file
        self.problems = tuple(problems)

"""The errors dashzoo raises, all below one root, each also a builtin.

```
DashzooError
├── BadData             ValueError          the user's arrays
├── BadSpace            ValueError          a kernel set nothing can be searched in
├── BadBudget           ValueError          a budget no network of the space can meet
├── BadSpec             ValueError          a kernel spec that does not parse or fit
├── UnknownTask         LookupError         no task of that name
├── UnknownBackbone     LookupError         no backbone of that name
├── UnknownLayer        LookupError         no convolution of that name in a backbone
├── UnknownObjective    LookupError         no loss or metric of that name
├── UnknownContestant   LookupError         nobody of that name in a panel
├── UnknownDevice       LookupError         no such device on this machine
├── BadBackbone         ValueError          a backbone that refuses its arguments or inputs
├── UnsupportedLayer    NotImplementedError a convolution the operator does not cover
├── TrainingFailed      RuntimeError        loss or gradients stopped being numbers
├── BadLaunch           RuntimeError        processes that cannot find each other
├── BadCosts            ValueError          a table of measured costs that does not parse
├── BadBundle           ValueError          a bundle that is damaged, foreign or incomplete
├── BundleExists        FileExistsError     an output folder or repository already in use
├── UnknownModel        LookupError         no model of that name on shelf, disk or Hub
├── NotFetched          FileNotFoundError   a model not on this machine, and no Hub in reach
├── HubFailed           OSError             the Hub refused, failed, or could not be reached
├── MissingRuntime      ImportError         an optional package that is not installed
├── MissingProvider     RuntimeError        an execution provider that does not run here
└── ParityFailed        ArithmeticError     an export that does not compute the same
```

Every message is one sentence that ends with the next step. The command line prints it
and exits with code 2. Data about the fault is on the exception as attributes.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "BadBackbone",
    "BadBudget",
    "BadBundle",
    "BadCosts",
    "BadData",
    "BadLaunch",
    "BadSpace",
    "BadSpec",
    "BundleExists",
    "DashzooError",
    "HubFailed",
    "MissingProvider",
    "MissingRuntime",
    "NotFetched",
    "ParityFailed",
    "TrainingFailed",
    "UnknownBackbone",
    "UnknownContestant",
    "UnknownDevice",
    "UnknownLayer",
    "UnknownModel",
    "UnknownObjective",
    "UnknownTask",
    "UnsupportedLayer",
]


class DashzooError(Exception):
    """Root of everything dashzoo raises on purpose."""


class BadData(DashzooError, ValueError):
    """The user's arrays are missing, malformed or do not fit together."""


class BadSpace(DashzooError, ValueError):
    """A set of kernel sizes or dilations in which nothing can be searched."""


class BadBudget(DashzooError, ValueError):
    """A budget that nothing in the search space can meet, or that cannot be reckoned."""


class BadSpec(DashzooError, ValueError):
    """A kernel spec that does not parse, or does not fit the network it is given to.

    Attributes:
        field: dotted name of the field at fault, such as ``layers.conv1.kernel``.
    """

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class _UnknownName(DashzooError, LookupError):
    """A name that is not registered; ``near`` holds the closest ones that are."""

    kind = "name"

    def __init__(self, name: str, known: Iterable[str], *, hint: str = "") -> None:
        self.name = name
        self.near = tuple(difflib.get_close_matches(name, list(known), n=3, cutoff=0.4))
        nearest = f"; nearest: {', '.join(self.near)}" if self.near else ""
        super().__init__(f"No {self.kind} is called {name!r}{nearest}. {hint}".rstrip())


class UnknownTask(_UnknownName):
    """No task of that name, and no file either."""

    kind = "task or data file"


class UnknownBackbone(_UnknownName):
    """No backbone of that name in timm or in dashzoo."""

    kind = "backbone"


class UnknownLayer(_UnknownName):
    """No convolution of the backbone has that name, or matches that pattern."""

    kind = "convolution of the backbone"


class UnknownContestant(_UnknownName):
    """Nobody of that name takes part in panels."""

    kind = "contestant"


class UnknownDevice(_UnknownName):
    """No such device on this machine."""

    kind = "device"


class UnknownObjective(_UnknownName):
    """No loss, or no metric, of that name; ``kind`` says which."""

    def __init__(self, name: str, known: Iterable[str], *, what: str) -> None:
        self.kind = what
        known = tuple(known)
        hint = f"Take one of {', '.join(known)}, or module:function for one of your own"
        super().__init__(name, known, hint=hint)


class BadBackbone(DashzooError, ValueError):
    """A backbone that refuses its arguments, or inputs of the size it was given."""


class UnsupportedLayer(DashzooError, NotImplementedError):
    """A layer whose settings an operator, or a form of export, does not cover."""


class TrainingFailed(DashzooError, RuntimeError):
    """Loss or gradients stopped being numbers, or memory ran out."""


class BadLaunch(DashzooError, RuntimeError):
    """Several processes were asked for, but not so that they can find each other."""


class BadCosts(DashzooError, ValueError):
    """A table of costs that cannot be read."""


class BadBundle(DashzooError, ValueError):
    """A bundle that is damaged, foreign or incomplete.

    Attributes:
        field: the file or dotted field at fault.
    """

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class BundleExists(DashzooError, FileExistsError):
    """The output folder, or the repository, already holds something that would be lost."""


class UnknownModel(DashzooError, LookupError):
    """No model, revision or file of that name on the shelf, in a folder or on the Hub."""


class NotFetched(DashzooError, FileNotFoundError):
    """A model that is not on this machine while the Hub is out of reach."""


class HubFailed(DashzooError, OSError):
    """The Hub refused, failed, or could not be reached; ``status`` is its HTTP status, if any."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class MissingRuntime(DashzooError, ImportError):
    """An optional package is not installed; ``extra`` names what to install."""

    def __init__(self, package: str, extra: str) -> None:
        self.package = package
        self.extra = extra
        super().__init__(f"{package} is not installed; run: pip install 'dashzoo[{extra}]'")


class MissingProvider(DashzooError, RuntimeError):
    """An execution provider of ONNX Runtime that does not exist, or does not run here."""


class ParityFailed(DashzooError, ArithmeticError):
    """Two forms of one network disagree by more than the tolerance."""

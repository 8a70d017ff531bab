# SPDX-License-Identifier: Apache-2.0
"""An applet: a typed function with a manifest and prompts, and everything that is made of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files as resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast, get_type_hints

from pydantic import BaseModel, ValidationError

from llama_orch_utils.applets import manifest as manifests
from llama_orch_utils.applets.context import Context, Progress, silent
from llama_orch_utils.applets.files import Files
from llama_orch_utils.applets.manifest import Manifest
from llama_orch_utils.applets.prompts import FOLDER, SUFFIX, Prompts
from llama_orch_utils.applets.schema import shortened
from llama_orch_utils.errors import AppletError, BadRequest, OrchError, UnsupportedByTarget

if TYPE_CHECKING:
    from llama_orch_utils.client.blocking import Client

_UNTOLD = frozenset(("chat", "schema"))
"""What targets tell of no model, or of every one: the request itself finds out."""
_WORDS = {"reasoning": "thinking"}
"""What a target's list calls a capability of a manifest."""
MANIFEST_CAP = "cost.most"
"""What BudgetExceeded calls the limit of the manifest."""

In = TypeVar("In", bound=BaseModel)
Out = TypeVar("Out", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Made:
    """What a run made: `output` as JSON has it, `text` for people, `cost` in micro-euros (0: nothing is charged)."""

    output: dict[str, Any]
    text: str
    cost: int = 0


class Applet(Generic[In, Out]):
    """Call it as the function that it was, with `client=` instead of a context: an instance in, an instance out."""

    def __init__(self, function: Callable[[In, Context], Out], manifest: Manifest, prompts: Prompts) -> None:
        self.function, self.manifest, self.prompts = function, manifest, prompts
        self.input, self.output = cast("tuple[type[In], type[Out]]", _types(function, manifest.id))
        self.__doc__ = function.__doc__

    @property
    def id(self) -> str:
        """Its name, everywhere."""
        return self.manifest.id

    def __call__(
        self,
        given: In | Mapping[str, Any],
        *,
        client: Client,
        files: Files | None = None,
        progress: Progress = silent,
        brand: Mapping[str, str] | None = None,
        max_cost: int | None = None,
        repeat: str | None = None,
    ) -> Out:
        """Runs it. `max_cost` is micro-euros, beside what the manifest allows; `repeat` as in `Client.capped`.

        Raises BadRequest for an input that does not fit (`param` is its pointer), BudgetExceeded, UnsupportedByTarget
        for a target that lacks what it needs, AppletError for what the applet does wrong, and the other errors of the
        tree as they come.
        """
        found = self.read(given)
        check_needs(self.manifest, client)
        return self.run(found, self._context(client, files, progress, brand, max_cost, repeat))

    def invoke(
        self,
        given: In | Mapping[str, Any],
        *,
        client: Client,
        files: Files | None = None,
        progress: Progress = silent,
        brand: Mapping[str, str] | None = None,
        max_cost: int | None = None,
        repeat: str | None = None,
    ) -> Made:
        """The same, for the faces that speak JSON."""
        found = self.read(given)
        check_needs(self.manifest, client)
        context = self._context(client, files, progress, brand, max_cost, repeat)
        output = self.run(found, context)
        return Made(output.model_dump(mode="json"), text_of(output), context.spent)

    def _context(
        self,
        client: Client,
        files: Files | None,
        progress: Progress,
        brand: Mapping[str, str] | None,
        max_cost: int | None,
        repeat: str | None,
    ) -> Context:
        outer = client if max_cost is None else client.capped(max_cost)
        capped = outer.capped(self.manifest.most_cost, strict=False, repeat=repeat, source=MANIFEST_CAP)
        return Context(capped, files or Files(), self.prompts, progress, brand=brand or {})

    def read(self, given: In | Mapping[str, Any]) -> In:
        """The input, checked. Raises BadRequest with the pointer to what does not fit."""
        if isinstance(given, self.input):
            return given
        try:
            return self.input.model_validate(given)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = "".join(f"/{each}" for each in first["loc"]) or "/"
            raise BadRequest(
                f"applet {self.id}: {where.strip('/') or 'the input'}: {first['msg'].lower()}",
                param=where,
                hint=f"orch {self.id} --help",
            ) from error

    def run(self, given: In, context: Context) -> Out:
        """Runs it in a context. What is no error of the tree becomes an AppletError that names the applet."""
        try:
            made: object = self.function(given, context)
        except OrchError:
            raise
        except PermissionError as error:
            words = f"{error.strerror}: {error.filename}" if error.filename else str(error)
            raise AppletError(
                f"applet {self.id} was refused what it did not ask for, or was not given: {words}",
                hint=f"orch applet ls shows what {self.id} may touch; the files that it gets are those you name",
            ) from error
        except (Exception, SystemExit) as error:
            raise AppletError(f"applet {self.id} failed: {type(error).__name__}: {error}") from error
        if isinstance(made, self.output):
            return made
        try:
            return self.output.model_validate(made)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = "".join(f"/{each}" for each in first["loc"]) or "/"
            raise AppletError(
                f"applet {self.id} gave an output that does not fit: {where}: {first['msg'].lower()}"
            ) from error

    def schema(self) -> dict[str, Any]:
        """`id`, `summary`, and the JSON Schemas of `input` and `output`."""
        return {
            "id": self.id,
            "summary": self.manifest.summary,
            "input": shortened(self.input.model_json_schema()),
            "output": shortened(self.output.model_json_schema(mode="serialization")),
        }


def text_of(output: BaseModel) -> str:
    """An output for people: what its own `__str__` says, else `name: value` lines."""
    if type(output).__str__ is not BaseModel.__str__:
        return str(output)
    return "\n".join(
        f"{name.replace('_', ' ')}: {_said(value)}" for name, value in output.model_dump(mode="json").items()
    )


def _said(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_said, cast("list[Any]", value)))
    if isinstance(value, dict):
        return "; ".join(f"{name} {_said(each)}" for name, each in cast("dict[str, Any]", value).items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)


def check_needs(manifest: Manifest, client: Client) -> None:
    """Raises UnsupportedByTarget where the target's model lacks what the manifest needs; what is not told is tried."""
    needed = {_WORDS.get(each, each) for each in manifest.capabilities if each not in _UNTOLD}
    if not needed and manifest.context is None:
        return
    model = client.described()
    if model is None:
        return
    if model.capabilities and (lacks := sorted(needed - model.capabilities)):
        raise UnsupportedByTarget(
            f"applet {manifest.id} needs {', '.join(lacks)}, which {model.id} of {client.target} does not have",
            capability=lacks[0],
            hint=f"orch {manifest.id} -m MODEL, or --target TARGET",
        )
    if manifest.context is not None and model.context is not None and model.context < manifest.context:
        raise UnsupportedByTarget(
            f"applet {manifest.id} needs a context of {manifest.context} tokens, {model.id} has {model.context}",
            capability="context",
            hint=f"orch {manifest.id} --context {manifest.context}, or another model: -m MODEL",
        )


def applet(package: str | None) -> Callable[[Callable[[In, Context], Out]], Applet[In, Out]]:
    """Makes an applet of a function, as `@applet(__package__)`; the package holds its `applet.toml` and `prompts/`.

    Raises AppletError for a manifest, a prompt or a signature that will not do.
    """

    def make(function: Callable[[In, Context], Out]) -> Applet[In, Out]:
        if package is None:
            raise AppletError("an applet is a package: a single script has no applet.toml", hint="orch applet new NAME")
        folder = resources(package)
        try:
            text = folder.joinpath(manifests.FILE).read_text("utf-8")
        except (OSError, ModuleNotFoundError) as error:
            raise AppletError(
                f"the package {package} holds no {manifests.FILE}", hint="orch applet new NAME"
            ) from error
        manifest = manifests.parse(text, f"{package}/{manifests.FILE}")
        shape = _types(function, manifest.id)[0]
        _check_columns(manifest, list(shape.model_fields), f"{package}/{manifests.FILE}")
        always = {*shape.model_fields, "input"}
        return Applet(function, manifest, Prompts(_texts(folder), manifest.prompts or {}, always, manifest.brand_slots))

    return make


def _check_columns(manifest: Manifest, fields: list[str], where: str) -> None:
    from difflib import get_close_matches

    for name in manifest.batch_columns:
        if name not in fields:
            near = get_close_matches(name, fields, 1)
            meant = f"; did you mean {near[0]}?" if near else ""
            raise AppletError(
                f"{where}: batch.columns.{name} is no field of the input{meant}",
                hint=f"its fields are: {', '.join(fields)}",
            )


def _texts(folder: Any) -> dict[str, str]:
    prompts = folder.joinpath(FOLDER)
    if not prompts.is_dir():
        return {}
    found = [each for each in prompts.iterdir() if each.name.endswith(SUFFIX)]
    return {Path(each.name).stem: each.read_text("utf-8") for each in found}


def _types(function: Callable[..., Any], name: str) -> tuple[type[BaseModel], type[BaseModel]]:
    hints = get_type_hints(function)
    names = list(inspect.signature(function).parameters)
    shapes = [hints.get(names[0]) if names else None, hints.get("return")]
    good = [isinstance(each, type) and issubclass(each, BaseModel) for each in shapes]
    if len(names) != 2 or hints.get(names[1]) is not Context or not all(good):  # noqa: PLR2004 - input and context
        raise AppletError(
            f"applet {name}: its function must take a pydantic model and a Context, and give a pydantic model",
            hint="def run(input: Input, context: Context) -> Output",
        )
    return cast("tuple[type[BaseModel], type[BaseModel]]", tuple(shapes))

"""Errors as problem documents (RFC 9457). What the caller sent is never repeated, neither here nor in a log."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, cast

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from api.scenarios.model import path_of, reason_of

MEDIA_TYPE = "application/problem+json"


class Problem(BaseModel):
    """Why a request was not served, and what to do."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: dict[str, str] = {}
    """By the part of the request (`query.day`, of a body the field): what is wrong with it."""


OPENAPI_RESPONSES: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "Refused; `detail` says what to do.",
        "content": {MEDIA_TYPE: {"schema": Problem.model_json_schema()}},
    }
}
"""Of every operation, in place of FastAPI's own document for 422, which repeats the input."""


def problem(
    status: int, detail: str, *, headers: Mapping[str, str] | None = None, errors: Mapping[str, str] | None = None
) -> Response:
    """A problem response. `detail` must not hold anything of the request or of a patient."""
    document = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, errors=dict(errors or {}))
    content = json.dumps(document.model_dump(exclude=None if errors else {"errors"}), ensure_ascii=False).encode()
    return Response(content, status, dict(headers or {}), MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Every error of the application becomes a problem."""
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, _failed)


_DETAILS = {
    404: "Nothing is served here: /openapi.json lists what is.",
    405: "This is read only: use GET.",
}


async def _http(_request: Request, error: Exception) -> Response:
    refused = cast(HTTPException, error)
    plain = refused.detail == HTTPStatus(refused.status_code).phrase
    detail = _DETAILS.get(refused.status_code, refused.detail) if plain else refused.detail
    return problem(refused.status_code, detail, headers=refused.headers)


async def _invalid(_request: Request, error: Exception) -> Response:
    refused = cast(RequestValidationError, error)
    return problem(
        422, "Correct what `errors` names.", errors=dict(_told(one, refused.body) for one in refused.errors())
    )


def _told(wrong: Any, body: object) -> tuple[str, str]:
    """Where and why, of a body in the words of scenario files. Nothing else: the rest would repeat what was sent."""
    part, *inside = wrong["loc"]
    if part != "body":
        return ".".join(map(str, wrong["loc"])), reason_of(wrong)
    if wrong["type"] == "json_invalid":
        return part, "is not JSON"
    return ".".join(map(str, path_of(tuple(inside), body))) or part, reason_of(wrong)


async def _failed(_request: Request, _error: Exception) -> Response:
    return problem(500, "The program failed here; its log says where.")

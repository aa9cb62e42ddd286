"""Settings documents: one JSON body per (kind, key), versioned, with every earlier version kept."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from recsys_engine.contract.errors import ContractError
from recsys_engine.store.tables import document_history, documents


@dataclass(frozen=True, slots=True)
class Document:
    """One settings document as stored."""

    kind: str
    key: str
    version: int
    body: dict[str, Any]
    created_us: int
    updated_us: int


def all_documents(connection: Connection, tenant: int, kind: str | None = None) -> list[Document]:
    """Documents of a kind (or all), by kind and key."""
    where = [documents.c.tenant == tenant]
    if kind is not None:
        where.append(documents.c.kind == kind)
    rows = connection.execute(select(documents).where(*where).order_by(documents.c.kind, documents.c.key))
    return [
        Document(row.kind, row.key, row.version, json.loads(row.body), row.created_us, row.updated_us) for row in rows
    ]


def put_document(
    connection: Connection,
    tenant: int,
    place: tuple[str, str],
    body: Mapping[str, Any],
    now_us: int,
    *,
    expected_version: int | None = None,
    author: str | None = None,
) -> int:
    """Write a document (``place`` is kind and key) and its history row; returns the new version.

    Raises:
        ContractError: ``version_conflict`` when ``expected_version`` is given and is not the stored one (0 = absent).

    """
    kind, key = place
    where = (documents.c.tenant == tenant, documents.c.kind == kind, documents.c.key == key)
    stored = connection.execute(select(documents.c.version).where(*where)).scalar()
    last = _last_version(connection, tenant, kind, key)
    if expected_version is not None and expected_version != (stored or 0):
        details = {"expected": expected_version, "stored": stored or 0}
        raise ContractError("version_conflict", "the settings were changed meanwhile", details)
    text, version = json.dumps(body), last + 1
    if stored is None:
        values = {"tenant": tenant, "kind": kind, "key": key, "version": version, "body": text}
        connection.execute(insert(documents).values(**values, created_us=now_us, updated_us=now_us))
    else:
        connection.execute(update(documents).where(*where).values(version=version, body=text, updated_us=now_us))
    connection.execute(
        insert(document_history).values(
            tenant=tenant, kind=kind, key=key, version=version, body=text, author=author, written_us=now_us
        )
    )
    return version


def _last_version(connection: Connection, tenant: int, kind: str, key: str) -> int:
    history = document_history
    where = (history.c.tenant == tenant, history.c.kind == kind, history.c.key == key)
    newest = select(history.c.version).where(*where).order_by(history.c.version.desc()).limit(1)
    return int(connection.execute(newest).scalar() or 0)


def delete_documents(connection: Connection, tenant: int, kind: str, keys: list[str]) -> int:
    """Delete documents by key (their history stays); returns how many went."""
    where = (documents.c.tenant == tenant, documents.c.kind == kind, documents.c.key.in_(keys))
    return int(connection.execute(delete(documents).where(*where)).rowcount)

"""Catalogue files that staff upload: kept until somebody has seen what they would change and said yes."""

import gzip
import hashlib
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path

from sqlalchemy import update
from werkzeug.utils import secure_filename

from shop_app.catalog.importing.files import format_of
from shop_app.catalog.importing.judging import Judge, Judged
from shop_app.catalog.importing.products import Defaults, product_rows
from shop_app.catalog.importing.rows import ProductRow, RowError
from shop_app.catalog.importing.writer import batches
from shop_app.catalog.models import CatalogueUpload
from shop_app.core.errors import Conflict, InvalidInput, NotFound
from shop_app.extensions import db, rows_changed

MAX_ROWS = 2000
"""Rows a page can store while somebody waits. Longer files are for `flask import-catalog`."""
MAX_UPLOAD_BYTES = 4_000_000
MAX_UNPACKED_BYTES = 40_000_000
"""What a small .gz may become: a file of noughts packs a thousandfold."""
BY_COMMAND = "Bring it in with flask --app shop_app.wsgi import-catalog."


@dataclass(slots=True)
class ImportPlan(Judged):
    """What storing a file would do, in the order of its rows."""

    @property
    def is_empty(self) -> bool:
        """Nothing to store."""
        return not self.created and not self.changed

    @property
    def fingerprint(self) -> str:
        """The same for the same plan: what was looked at is what is stored."""
        said = repr((self.created, self.changed, self.unchanged, self.errors))
        return hashlib.sha256(said.encode()).hexdigest()[:32]


def keep_upload(name: str, content: bytes, actor: str, now: datetime) -> CatalogueUpload:
    """Keep a file for its preview.

    Raises:
        InvalidInput: empty, too large, or of no format the console reads.

    """
    safe = secure_filename(name)[-100:] or "catalogue"
    if not content:
        raise InvalidInput({"file": ["Choose a file that is not empty."]})
    if len(content) > MAX_UPLOAD_BYTES:
        raise InvalidInput({"file": [f"At most {MAX_UPLOAD_BYTES // 10**6} MB here. {BY_COMMAND}"]})
    if safe.removesuffix(".gz").endswith(".parquet"):
        raise InvalidInput({"file": [f"Parquet files are not opened here. {BY_COMMAND}"]})
    content = _unpacked(content) if safe.endswith(".gz") else content
    upload = CatalogueUpload(name=safe, content=content, uploaded_at=now, uploaded_by=actor)
    with _as_file(upload) as path:
        format_of(path)
    db.session.add(upload)
    db.session.flush()  # the address of its preview needs the id
    return upload


def _unpacked(content: bytes) -> bytes:
    packer = zlib.decompressobj(wbits=31)
    try:
        plain = packer.decompress(content, MAX_UNPACKED_BYTES)
    except zlib.error as error:
        raise InvalidInput({"file": [f"is no gzip file: {error}"]}) from error
    if not packer.eof or packer.unused_data:
        raise InvalidInput({"file": [f"Broken off, in several parts, or too large unpacked. {BY_COMMAND}"]})
    return gzip.compress(plain)


def upload_of(upload_id: int) -> CatalogueUpload:
    """One kept file.

    Raises:
        NotFound: there is none, or not any more.

    """
    found = db.session.get(CatalogueUpload, upload_id)
    if found is None:
        raise NotFound("There is no such upload any more. Files are kept for two days.")
    return found


def uploaded_rows(upload: CatalogueUpload, currency: str) -> list[ProductRow | RowError]:
    """The file's rows, read by the importer.

    Raises:
        InvalidInput: it breaks off, or has too many.

    """
    with _as_file(upload) as path:
        rows = list(islice(product_rows(path, Defaults(currency, {})), MAX_ROWS + 1))
    if len(rows) > MAX_ROWS:
        raise InvalidInput({"file": [f"More than {MAX_ROWS:,} rows. {BY_COMMAND}"]})
    return rows


def plan_import(rows: list[ProductRow | RowError]) -> ImportPlan:
    """What storing these rows would do now; writes nothing."""
    plan, judge = ImportPlan(), Judge()
    for batch in batches(rows):
        judged = judge.judge(batch)
        plan.created += judged.created
        plan.changed += judged.changed
        plan.unchanged += judged.unchanged
        plan.errors += judged.errors
    plan.errors.sort(key=lambda error: error.line)
    return plan


def claim_upload(upload_id: int, now: datetime) -> None:
    """Take a file for storing; only one can.

    Raises:
        Conflict: it was stored, or is being stored.

    """
    free = update(CatalogueUpload).where(CatalogueUpload.id == upload_id, CatalogueUpload.stored_at.is_(None))
    if not rows_changed(free.values(stored_at=now).execution_options(synchronize_session=False)):
        raise Conflict("This file was stored already.")


@contextmanager
def _as_file(upload: CatalogueUpload) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="upload-") as folder:
        path = Path(folder) / upload.name
        path.write_bytes(upload.content)
        yield path

"""Read zip-based formats safely: check the sizes that an archive declares, and count the bytes that come out."""

from __future__ import annotations

import lzma
import zipfile
import zlib
from typing import IO
from urllib.parse import unquote

from rag_pipeline.errors import CorruptFileError, EncryptedFileError, ExtractionLimitError
from rag_pipeline.ingest.extract.input_file import InputFile
from rag_pipeline.ingest.extract.limits import KIB, MIB

_ENCRYPTED_FLAG = 1
_RATIO_CHECK_FROM_BYTES = 16 * MIB
_MAX_READ_BYTES = 16 * MIB
_ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, NotImplementedError, ValueError)


class ZipArchive:
    """The members of a zip file, by name. Zip files inside it are never opened.

    Raises CorruptFileError, EncryptedFileError or ExtractionLimitError.
    """

    def __init__(self, file: InputFile) -> None:
        self._limits = file.limits
        self._unpacked = 0
        file.stream.seek(0)
        try:
            self._zip = zipfile.ZipFile(file.stream)
        except _ZIP_ERRORS as error:
            raise CorruptFileError(f"the zip directory can't be read ({error})") from error
        entries = self._zip.infolist()
        if len(entries) > self._limits.archive_entries:
            raise ExtractionLimitError(
                f"holds {len(entries):,} files, over the limit of {self._limits.archive_entries:,}"
            )
        # Stored media does not grow, so only bytes beyond the size of the file itself count as unpacked.
        declared = sum(entry.file_size for entry in entries)
        if declared > self._limits.unpacked_bytes + file.size:
            raise ExtractionLimitError(
                f"unpacks to {declared:,} bytes, over the limit of {self._limits.unpacked_bytes:,}"
            )
        self._entries = {entry.filename.replace("\\", "/").lstrip("/"): entry for entry in entries}
        self._folded = {name.casefold(): name for name in self._entries}
        self.names = self._entries.keys()

    def resolve(self, name: str) -> str:
        """Return the name of the member that a document means: in any case, or percent-encoded; else ``name``."""
        for meant in (name, unquote(name)):
            if meant in self._entries:
                return meant
            if found := self._folded.get(meant.casefold()):
                return found
        return name

    def size(self, name: str) -> int:
        """Return the declared size of a member, in bytes; it may be wrong."""
        entry = self._entries.get(name)
        return entry.file_size if entry else 0

    def open(self, name: str) -> ZipMember:
        """Open a member, to be read in blocks."""
        entry = self._entries.get(name)
        if entry is None:
            raise CorruptFileError(f"its part {name} is missing")
        if entry.flag_bits & _ENCRYPTED_FLAG:
            raise EncryptedFileError("is encrypted; a password is needed")
        try:
            stream = self._zip.open(entry)
        except (*_ZIP_ERRORS, RuntimeError) as error:
            raise CorruptFileError(f"its part {name} can't be read ({error})") from error
        return ZipMember(self, name, stream, entry.compress_size)

    def read(self, name: str, limit_bytes: int = _MAX_READ_BYTES) -> bytes:
        """Return the content of a small member."""
        data = bytearray()
        member = self.open(name)
        while block := member.read(64 * KIB):
            data += block
            if len(data) > limit_bytes:
                raise ExtractionLimitError(f"has a part, {name}, that unpacks to more than {limit_bytes:,} bytes")
        return bytes(data)

    def count_block(self, name: str, unpacked: int, packed: int, block: int) -> None:
        """Count the bytes of a block against the limits; raises ExtractionLimitError."""
        self._unpacked += block
        if self._unpacked > self._limits.unpacked_bytes:
            raise ExtractionLimitError(f"unpacks to more than {self._limits.unpacked_bytes:,} bytes")
        if unpacked > _RATIO_CHECK_FROM_BYTES and unpacked > packed * self._limits.expansion_ratio:
            raise ExtractionLimitError(
                f"has a part, {name}, that unpacks to more than {self._limits.expansion_ratio} times its size"
            )


class ZipMember:
    """A member of a zip archive, open for reading."""

    def __init__(self, archive: ZipArchive, name: str, stream: IO[bytes], packed: int) -> None:
        self._archive = archive
        self._stream = stream
        self._packed = packed
        self.name = name
        self.position = 0

    def read(self, count: int) -> bytes:
        """Return up to ``count`` unpacked bytes; none at the end."""
        try:
            block = self._stream.read(count)
        except _ZIP_ERRORS as error:
            raise CorruptFileError(f"its part {self.name} can't be unpacked ({error})") from error
        self.position += len(block)
        self._archive.count_block(self.name, self.position, self._packed, len(block))
        return block

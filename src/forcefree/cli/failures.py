"""Every failure that a user can mend is one sentence on stderr, an exit code, and no traceback."""

from __future__ import annotations

import errno
import os
import re
from typing import Any

import typer
from typer.core import TyperGroup

from forcefree.errors import ForcefreeError

ALL_STOPPED = 1
BAD_INPUT = 2
INTERRUPTED = 130


class SentenceGroup(TyperGroup):
    """The command group at the root of the command line; what any command raises passes through it once."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command.

        Raises:
            typer.Exit: With code 2 for input, files or requests that cannot be used, 130 for Ctrl-C.
        """
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            again = "the same command with --resume" if self._resumes(ctx) else "the same command"
            typer.echo(f"\nforcefree: stopped; run {again} to continue", err=True)
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            raise
        except Exception as error:
            sentence = sentence_for(error)
            if sentence is None:
                raise
            typer.echo(f"forcefree: {sentence}", err=True)
            raise typer.Exit(BAD_INPUT) from error

    def _resumes(self, ctx: Any) -> bool:
        command = self.get_command(ctx, ctx.invoked_subcommand or "")
        return command is not None and any(parameter.name == "resume" for parameter in command.params)


def sentence_for(error: Exception) -> str | None:
    """What to tell the user, or None where the exception is a defect of ours.

    Args:
        error: Anything that a command raised.

    Returns:
        One line.
    """
    if isinstance(error, ForcefreeError):
        return _one_line(str(error))
    if isinstance(error, OSError):
        return _file_sentence(error)
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and _is_out_of_memory(str(error))):
        return "out of memory; use fewer replicas, a smaller batch or fewer workers"
    return None


def _file_sentence(error: OSError) -> str:
    """HDF5 hides the number of the error in its message, and the file's name with it."""
    text = _one_line(str(error))
    hidden = re.search(r"errno = (\d+)", text)
    code = error.errno or (int(hidden[1]) if hidden else None)
    named = re.search(r"(?:filename|name) = '([^']+)'", text)
    place = error.filename if error.filename is not None else (named[1] if named else None)
    where = f" ({os.fsdecode(place)})" if isinstance(place, (str, bytes, os.PathLike)) else ""
    if code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return f"the disk is full{where}; what was written so far can be read: free some space and run the same command to continue"
    if code in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"no permission to write or read there{where}; choose another folder or mend its permissions"
    if code is None:
        return text
    return f"{os.strerror(code).lower()}{where}; check the path"


def _is_out_of_memory(message: str) -> bool:
    return "out of memory" in message.lower() or "can't allocate memory" in message


def _one_line(text: str) -> str:
    return " ".join(text.split())

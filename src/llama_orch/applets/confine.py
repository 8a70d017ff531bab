# SPDX-License-Identifier: GPL-3.0-or-later
"""`python confine.py RULES COMMAND …`: closes the door behind itself, then becomes COMMAND.

Landlock (Linux 5.13 and later; https://docs.kernel.org/userspace-api/landlock.html) holds files, and from its ABI 4
TCP; a seccomp filter (https://docs.kernel.org/userspace-api/seccomp_filter.html) leaves of the sockets only Unix ones
and TCP over IPv4, and takes away what gets around the two. Both stay for the command and for all that it starts.

RULES is JSON: `read` and `write` (paths), `port` (the one TCP port it may connect to, null: none), `folder` (where it
starts). Run as a script with nothing of ours imported, so it starts in milliseconds.
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import struct
import sys

_CREATE, _ADD, _RESTRICT = 444, 445, 446
_PATH, _PORT = 1, 2
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _REFER, _TRUNCATE, _IOCTL = 1, 2, 4, 8, 1 << 13, 1 << 14, 1 << 15
_ALL = ((1 << 13) - 1, (1 << 14) - 1, (1 << 15) - 1, (1 << 15) - 1, (1 << 16) - 1)
_ON_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL
_NET, _CONNECT, _SCOPES = 3, 2, 3
_TCP_ABI, _SCOPE_ABI = 4, 6
_NO_NEW_PRIVS, _SECCOMP, _FILTER = 38, 22, 2
# AUDIT_ARCH_*, and the numbers of: socket, sendto, sendmsg, sendmmsg, then those that are closed
# (ptrace, process_vm_readv, process_vm_writev, bpf, keyctl, add_key, request_key, io_uring_setup, pidfd_getfd).
_MACHINES = {
    "x86_64": (0xC000003E, (41, 44, 46, 307), (101, 310, 311, 321, 250, 248, 249, 425, 438)),
    "aarch64": (0xC00000B7, (198, 206, 211, 269), (117, 270, 271, 280, 219, 217, 218, 425, 438)),
}
_FASTOPEN = 0x20000000
_ALLOW, _DENY = 0x7FFF0000, 0x00050000 | 13
_LOAD, _EQUAL, _AND, _SET, _RETURN, _AT_LEAST = 0x20, 0x15, 0x54, 0x45, 0x06, 0x35


def abi() -> int:
    """The kernel's version of Landlock; 0: none."""
    if sys.platform != "linux":
        return 0
    return max(0, _libc().syscall(_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint32(1)))


def filters() -> bool:
    """Whether seccomp's numbers are known for this machine."""
    return sys.platform == "linux" and platform.machine() in _MACHINES


def main() -> None:
    """Closes and executes. 71: the kernel refused what it had promised."""
    rules, command = json.loads(sys.argv[1]), sys.argv[2:]
    try:
        os.chdir(rules["folder"])
        if sys.platform == "linux":
            libc = _libc()
            if libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0):
                raise OSError(ctypes.get_errno(), "no_new_privs")  # noqa: TRY301 - one way out
            if version := abi():
                _landlock(libc, version, rules)
            if filters():
                _filter(libc)
    except OSError as error:
        sys.stderr.write(f"cannot confine the applet: {error}\n")
        sys.exit(71)
    os.execv(command[0], command)  # noqa: S606 - words, never a shell


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _landlock(libc: ctypes.CDLL, version: int, rules: dict[str, list[str]]) -> None:
    handled = _ALL[min(version, len(_ALL)) - 1]
    net = _NET if version >= _TCP_ABI else 0
    attributes = struct.pack("QQQ", handled, net, _SCOPES if version >= _SCOPE_ABI else 0)
    size = 24 if version >= _SCOPE_ABI else 16 if version >= _TCP_ABI else 8
    ruleset = libc.syscall(_CREATE, attributes, ctypes.c_size_t(size), ctypes.c_uint32(0))
    if ruleset < 0:
        raise OSError(ctypes.get_errno(), "Landlock")
    reading = (_EXECUTE | _READ_FILE | _READ_DIR) & handled
    for paths, rights in ((rules["read"], reading), (rules["write"], handled)):
        for path in paths:
            _allow(libc, ruleset, path, rights)
    if net and rules.get("port"):
        port = struct.pack("QQ", _CONNECT, int(rules["port"]))  # type: ignore[call-overload]
        if libc.syscall(_ADD, ruleset, _PORT, port, ctypes.c_uint32(0)):
            raise OSError(ctypes.get_errno(), "Landlock, the port")
    if libc.syscall(_RESTRICT, ruleset, ctypes.c_uint32(0)):
        raise OSError(ctypes.get_errno(), "Landlock, the end")
    os.close(ruleset)


def _allow(libc: ctypes.CDLL, ruleset: int, path: str, rights: int) -> None:
    try:
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # what is not there cannot be reached either
    try:
        if not os.path.isdir(path):  # noqa: PTH112 - pathlib takes a third of the start
            rights &= _ON_FILES
        rule = struct.pack("=Qi", rights, handle)
        if libc.syscall(_ADD, ruleset, _PATH, rule, ctypes.c_uint32(0)):
            raise OSError(ctypes.get_errno(), f"Landlock, {path}")
    finally:
        os.close(handle)


def _filter(libc: ctypes.CDLL) -> None:
    lines = program(platform.machine())
    body = b"".join(struct.pack("HBBI", *line) for line in lines)
    buffer = ctypes.create_string_buffer(body)
    found = struct.pack("HxxxxxxQ", len(lines), ctypes.addressof(buffer))
    if libc.prctl(_SECCOMP, _FILTER, found, 0, 0):
        raise OSError(ctypes.get_errno(), "seccomp")


def program(machine: str) -> list[tuple[int, int, int, int]]:
    """The filter as instructions of classic BPF (code, jump if true, jump if false, value)."""
    arch, (socket, sendto, sendmsg, sendmmsg), closed = _MACHINES[machine]
    deny, allow = (_RETURN, 0, 0, _DENY), (_RETURN, 0, 0, _ALLOW)
    lines = [(_LOAD, 0, 0, 4), (_EQUAL, 1, 0, arch), deny, (_LOAD, 0, 0, 0), (_AT_LEAST, 0, 1, 0x40000000), deny]
    for number in closed:
        lines += [(_EQUAL, 0, 1, number), deny]
    # Data with the first packet of a connection: older kernels ask Landlock only in connect().
    for number, argument in ((sendto, 3), (sendmsg, 2), (sendmmsg, 3)):
        lines += [(_EQUAL, 0, 4, number), (_LOAD, 0, 0, 16 + 8 * argument), (_SET, 0, 1, _FASTOPEN), deny, allow]
    lines += [(_EQUAL, 1, 0, socket), allow]
    lines += [(_LOAD, 0, 0, 16), (_EQUAL, 0, 1, 1), allow]  # AF_UNIX
    lines += [(_EQUAL, 1, 0, 2), deny]  # AF_INET
    lines += [(_LOAD, 0, 0, 24), (_AND, 0, 0, 0xF), (_EQUAL, 1, 0, 1), deny]  # SOCK_STREAM
    lines += [(_LOAD, 0, 0, 32), (_EQUAL, 1, 0, 0), (_EQUAL, 0, 1, 6), allow, deny]  # not SCTP, not MPTCP
    return lines


if __name__ == "__main__":
    main()

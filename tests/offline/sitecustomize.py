"""Python imports this at its start, if this folder is on PYTHONPATH: no connection leaves the machine."""

import socket

_connect = socket.socket.connect


def connect(self, address):
    if self.family != socket.AF_UNIX and address[0] not in ("127.0.0.1", "::1", "localhost"):
        raise OSError("there is no network here")
    return _connect(self, address)


socket.socket.connect = socket.socket.connect_ex = connect

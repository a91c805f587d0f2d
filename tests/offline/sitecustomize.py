"""Python imports this at its start, if this folder is on PYTHONPATH: no connection leaves the machine."""

import socket


def only_here(connect):
    def guarded(self, address):
        if self.family != socket.AF_UNIX and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise OSError("there is no network here")
        return connect(self, address)

    return guarded


socket.socket.connect = only_here(socket.socket.connect)
socket.socket.connect_ex = only_here(socket.socket.connect_ex)

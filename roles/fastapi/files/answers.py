# Written by Ansible (graceful.deploy.fastapi); changes made here are undone by the next run.
# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether this host's proxy answers: answers.py PORT. keepalived asks, and gives the address up where not.

The path has a control character, which the site refuses by itself: no host of the app takes part.
"""

import socket
import sys

REQUEST = b"GET /%7F HTTP/1.1\r\nHost: localhost\r\nUser-Agent: graceful.deploy\r\nConnection: close\r\n\r\n"


def main() -> None:
    with socket.create_connection(("127.0.0.1", int(sys.argv[1])), 1.5) as connection:
        connection.sendall(REQUEST)
        sys.exit(0 if connection.recv(16).startswith(b"HTTP/1.") else 1)


if __name__ == "__main__":
    main()

"""Puts every unacknowledged message back as kombu does itself, whatever its age: the reference for
`adopt-unacked`.
"""

import json
import os

from kombu import Connection

options = {"visibility_timeout": 0}
with Connection(f"{os.environ['REDIS']}/0", transport_options=options) as connection:
    connection.default_channel.qos.restore_visible(num=None, interval=1)
print(json.dumps("restored"))

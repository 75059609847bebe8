"""Serves the site on a free port of loopback; prints {"port": ...} when it answers. Users: ada (7)
and bob (8).
"""

import json
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import django

django.setup()

from django.contrib.auth import get_user_model  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


call_command("migrate", verbosity=0)
for pk, name in [(7, "ada"), (8, "bob")]:
    get_user_model().objects.create_user(id=pk, username=name, password="secret")

server = Server(("127.0.0.1", 0), WSGIRequestHandler)
server.set_app(get_wsgi_application())
print(json.dumps({"port": server.server_address[1]}), flush=True)
server.serve_forever()

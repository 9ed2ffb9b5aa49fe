import hashlib
import logging

from pyramid.authentication import SessionAuthenticationPolicy
from pyramid.authorization import ACLAuthorizationPolicy
from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPFound
from pyramid.response import Response
from pyramid.security import remember
from pyramid.session import SignedCookieSessionFactory

log = logging.getLogger("pyramid_application")


def hello(request):
    log.info("hello %s", request.matchdict["name"])
    return {"greeting": request.registry.settings["greeting"], "name": request.matchdict["name"], "url": request.url}


def login(request):
    if request.method == "POST" and request.POST["password"] == "secret":
        return HTTPFound(request.route_url("me"), headers=remember(request, request.POST["user"]))
    return Response("<form method=post>")


def me(request):
    return Response(request.authenticated_userid or "nobody")


def upload(request):
    content = request.POST["file"].file.read()
    return {"name": request.POST["file"].filename, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def stream(request):
    return Response(app_iter=(b"%d\n" % i for i in range(1000)), content_type="text/plain")


def main(global_config, **settings):
    config = Configurator(settings=settings, session_factory=SignedCookieSessionFactory("only for the tests"))
    config.set_authorization_policy(ACLAuthorizationPolicy())
    config.set_authentication_policy(SessionAuthenticationPolicy())
    for name, pattern, view, renderer in (
        ("hello", "/hello/{name}", hello, "json"), ("login", "/login", login, None), ("me", "/me", me, None),
        ("upload", "/upload", upload, "json"), ("stream", "/stream", stream, None),
    ):
        config.add_route(name, pattern)
        config.add_view(view, route_name=name, renderer=renderer)
    return config.make_wsgi_app()

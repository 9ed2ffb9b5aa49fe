import os

import bottle
from bottle import abort, redirect, request, response, route, static_file, template

# As Bottle's documentation wants it under mod_wsgi.
os.chdir(os.path.dirname(os.path.abspath(__file__)))


@route("/hello/<name>")
def hello(name):
    return template("<b>Hello {{name}} at {{url}}</b>!", name=name, url=request.url)


@route("/form", method="POST")
def form():
    upload = request.files.get("file")
    return {"note": request.forms.get("note"), "size": len(upload.file.read()), "name": upload.filename}


@route("/login")
def login():
    response.set_cookie("account", "käthe", secret="only for the tests")
    redirect("me")


@route("/me")
def me():
    return request.get_cookie("account", secret="only for the tests") or abort(401, "who are you")


@route("/source")
def source():
    return static_file(os.path.basename(__file__), root=".", download="x.py")


@route("/count")
def count():
    for i in range(1000):
        yield "%d\n" % i


application = bottle.default_app()

"""A small Flask application: routes, JSON, form, upload, stream, cookies, error."""

import hashlib
import os

from flask import Flask, Response, jsonify, redirect, request, session, url_for

application = Flask(__name__)
application.secret_key = "only for tests"


@application.route("/")
def index():
    return "flask in %d" % os.getpid()


@application.route("/echo/<path:rest>", methods=["GET", "POST", "PUT"])
def echo(rest):
    return jsonify(method=request.method, rest=rest, args=request.args, form=request.form,
                   root=request.script_root, url=request.url, url_for=url_for("echo", rest="a b"))


@application.route("/upload", methods=["POST"])
def upload():
    file = request.files["file"]
    return jsonify(name=file.filename, sha256=hashlib.sha256(file.read()).hexdigest(), note=request.form["note"])


@application.route("/json", methods=["POST"])
def json_body():
    return jsonify(got=request.get_json())


@application.route("/stream")
def stream():
    return Response((("line %d\n" % number) for number in range(5)), mimetype="text/plain")


@application.route("/count")
def count():
    session["count"] = session.get("count", 0) + 1
    return str(session["count"])


@application.route("/away")
def away():
    return redirect(url_for("index"))


@application.route("/fail")
def fail():
    raise RuntimeError("a view that fails")

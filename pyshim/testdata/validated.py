from wsgiref.validate import validator


def plain(environ, start_response):
    data = environ["wsgi.input"].read(1000)
    environ["wsgi.errors"].write("validated\n")
    environ["wsgi.errors"].flush()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [data, b"end"]


application = validator(plain)

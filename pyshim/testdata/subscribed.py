"""An application that has everything observed and keeps nothing."""
import mod_wsgi

mod_wsgi.start_recording_metrics()


@mod_wsgi.subscribe_events
def keep_nothing(name, **payload):
    payload["request_data"]["last"] = name
    return {"more": name}


def application(environ, start_response):
    active = mod_wsgi.active_requests[environ["mod_wsgi.request_id"]]
    if active is not mod_wsgi.request_data() or mod_wsgi.process_metrics()["active_requests"] != 1:
        raise AssertionError(active)
    mod_wsgi.request_metrics()
    start_response("200 OK", [])
    if environ["PATH_INFO"] == "/raise":
        raise ValueError("observed")
    return [b"observed"]


def looks(environ, start_response):
    """Looks at the requests of the other threads, whose data comes and goes."""
    own = environ["mod_wsgi.request_id"]
    mod_wsgi.request_data()["id"] = own
    seen = dict(mod_wsgi.active_requests.items())
    if seen[own]["id"] != own or any(data.get("id", name) != name for name, data in seen.items()):
        raise AssertionError(seen)
    environ["wsgi.input"].read()  # gives the GIL up
    start_response("200 OK", [])
    return [b"looked"]

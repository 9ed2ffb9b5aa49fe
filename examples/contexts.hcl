# What stands in Apache's contexts decides: options of an application, files that
# run where they lie, and files of another kind that a script serves. The other
# half is contexts-apache.conf.

listen "unix" {
  path               = "/run/wsgid/wsgid.sock"
  trust_front_server = true
}

daemon_process "web" {
  user = "wsgid-web"
}

daemon_process "admin" {
  user = "wsgid-admin"
}

script_alias "/app" {
  target           = "/srv/site/site.wsgi"
  process_group    = "web"
  allow_override   = ["process_group", "callable_object", "pass_authorization"]
  restrict_process = ["web", "admin"]
}

# As mod_wsgi's SetHandler wsgi-script with Options ExecCGI.
script_root "/srv/scripts" {
  process_group     = "web"
  application_group = "scripts"
}

# As WSGIHandlerScript.
handler_script "markdown" {
  target            = "/srv/handlers/markdown.py"
  process_group     = "web"
  application_group = "markdown"
}
